"""What a decoder asks of a device: kernels over paged caches, in Triton and in plain torch."""
