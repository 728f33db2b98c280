package io.github.kklip.faults;

/**
 * One operation on a {@link FaultStore}.
 *
 * @param number of all operations on the store, from 1
 * @param client who asked for it
 * @param path inside the store
 * @param done whether it took effect: an operation may do so and fail
 */
public record OperationEvent(
    long number, String client, Operation operation, String path, boolean done) {}
