/** The file format safetensors: tensors and metadata in one file or in a Hugging Face folder. */
package io.github.kklip.safetensors;
