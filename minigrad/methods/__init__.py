"""The methods of Tensor, a family a file as in `ops`: each checks its arguments and calls an op.

PyTorch's names and defaults. Where PyTorch says `dim` and `keepdim`, numpy's `axis` and `keepdims`
do as well.
"""
