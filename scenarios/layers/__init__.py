"""The layers a hybrid model is made of: what each stores per token or sequence, and its weights.

Every `parameters(hidden_size)` counts one layer with the norm that stands in front of it, after the
`transformers` 5.24.0 modelling code of the families named; tests compare the counts. State sizes
follow vLLM: the recurrent state keeps one value an element, the convolution its last
`conv_width - 1` inputs, and one more for each token that is drafted ahead.
"""
