"""The operators that a saved program may call: functions of tensors and plain arguments.

None of them opens files, draws random numbers, runs what it is given or reads
memory under another shape than its own. Writing in place (`relu_`) is part of
the language in which torch saves programs; recording the calls again removes it.
"""

ARITHMETIC = frozenset({"add", "sub", "mul", "floordiv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge", "getitem"})
"""Of Python's `operator` module, on sizes."""

FUNCTIONS = frozenset(
    """
    _adaptive_avg_pool2d _adaptive_avg_pool3d _assert_tensor_metadata _convolution _fused_rms_norm _log_softmax _native_batch_norm_legit
    _native_batch_norm_legit_functional
    _native_batch_norm_legit_no_training _native_multi_head_attention _prelu_kernel _safe_softmax _scaled_dot_product_attention_math
    _scaled_dot_product_flash_attention_for_cpu _shape_as_tensor _softmax _to_copy _trilinear _unsafe_view _weight_norm _weight_norm_interface
    abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    add addbmm addcdiv addcmul addmm addmv alias all alpha_dropout amax amin aminmax any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh
    argmax argmin argsort asin asinh atan atan2 atanh avg_pool1d avg_pool2d avg_pool3d
    baddbmm batch_norm bilinear bitwise_and bitwise_not bitwise_or bitwise_xor bmm broadcast_tensors broadcast_to
    cat cdist ceil celu chain_matmul channel_shuffle chunk clamp clamp_max clamp_min clip clone concat concatenate constant_pad_nd contiguous conv1d conv2d
    conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution copy cos cosh cosine_similarity count_nonzero cummax cummin cumprod cumsum
    deg2rad detach diag diag_embed diagonal diff div divide dot dropout
    einsum elu embedding embedding_bag eq erf erfc exp exp2 expand expand_as expm1 eye
    feature_alpha_dropout feature_dropout fill flatten flip fliplr flipud floor floor_divide fmax fmin fmod frac full full_like
    gather ge gelu glu greater greater_equal grid_sampler gru group_norm gt
    hardshrink hardsigmoid hardswish hardtanh heaviside hypot
    im2col index index_add index_copy index_fill index_put index_select inner instance_norm isfinite isinf isnan isneginf isposinf
    kron layer_norm le leaky_relu lerp less less_equal lift lift_fresh lift_fresh_copy linalg_vector_norm linear linspace log log10 log1p log2 log_sigmoid
    log_sigmoid_forward
    log_softmax logaddexp
    logaddexp2 logical_and logical_not logical_or logical_xor logsumexp lstm lt
    masked_fill masked_scatter matmul max max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices maximum
    mean median meshgrid min minimum mish mm moveaxis movedim mul multiply mv
    nan_to_num narrow native_batch_norm native_group_norm native_layer_norm ne neg negative new_full new_ones new_zeros norm not_equal numpy_T
    one_hot ones ones_like outer pad pairwise_distance permute pixel_shuffle pixel_unshuffle polar pow prelu prod
    reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 remainder renorm repeat repeat_interleave replication_pad1d replication_pad2d
    replication_pad3d reshape reshape_as rms_norm rnn_relu rnn_tanh roll rot90 round rsqrt rsub
    scalar_tensor scaled_dot_product_attention scatter scatter_add scatter_reduce select select_scatter selu sigmoid sign signbit silu sin sinc sinh size
    slice slice_scatter softmax softplus softshrink sort split split_with_sizes sqrt square squeeze stack std std_mean sub subtract sum sum_to_size swapaxes
    swapdims sym_constrain_range sym_constrain_range_for_size sym_numel sym_size sym_stride
    t take take_along_dim tan tanh tensor_split tensordot threshold tile to topk transpose tril triu true_divide trunc type_as
    unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_linear1d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    var var_mean vander vdot view view_as vstack hstack dstack where xlogy zero zeros zeros_like
    """.split()  # noqa: SIM905  (a list of this length is read as text)
)
"""Names in `torch.ops.aten`, each with all of its overloads; a trailing underscore (in place) is allowed beside them."""
