/** GPUs by NCCL. */
package io.github.kklip.comms.nccl;
