/** What a run is to do: its inputs, their identities, the order of samples. */
package io.github.kklip.train.plan;
