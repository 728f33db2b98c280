/** The student: Hugging Face's CLIPModel, tensor for tensor, with KKLIP's heads. */
package io.github.kklip.model;
