"""Every kind of label refinement."""

from wsgcn.crf.dense_crf import DenseCrf

KINDS = (DenseCrf,)
