/**
 * One class a job: read the settings, call the stage, report. The only place that sees arguments.
 */
package io.github.kklip.jobs;
