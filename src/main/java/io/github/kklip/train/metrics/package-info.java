/** Where a run reports its figures: JSON lines, TensorBoard, MLflow. */
package io.github.kklip.train.metrics;
