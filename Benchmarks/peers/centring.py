def u_centred(gram):
    """Grams [..., n, n] U-centred (Székely & Rizzo 2014): inner products are unbiased HSIC."""
    n = gram.shape[-1]
    gram.diagonal(dim1=-2, dim2=-1).zero_()
    rows = gram.sum(-1) / (n - 2)
    total = gram.sum((-2, -1)) / ((n - 1) * (n - 2))
    gram = gram - rows[..., None] - rows[..., None, :] + total[..., None, None]
    gram.diagonal(dim1=-2, dim2=-1).zero_()
    return gram
