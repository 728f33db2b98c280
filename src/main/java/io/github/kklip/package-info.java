/** KKLIP: CLIP trained with knowledge from Llama 2, as a distributed Spark job. */
package io.github.kklip;
