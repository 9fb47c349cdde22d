"""Makes `cases`: situations of public threads, and their siblings, as small files with what is right for each.

    python3 make_cases.py [KIND...]

Every network is random and seeded; nothing is copied. Written with torch 2.15.0, timm 1.0.31, transformers 5.24.0,
safetensors 0.8, NumPy and Pillow. The tests need the files only.
"""
import os, shutil, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "making"))
import safetensors.torch
import case, networks

KINDS = ["settings", "tensors", "wrappers", "names", "preprocessing", "labels", "files", "images"]

if __name__ == "__main__":
    os.makedirs(case.ROOT, exist_ok=True)
    safetensors.torch.save_file(networks.vit().state_dict(), os.path.join(case.ROOT, "vit.safetensors"))
    for kind in sys.argv[1:] or KINDS:
        shutil.rmtree(os.path.join(case.ROOT, kind), ignore_errors=True)
        __import__(kind).cases()
    print(len(case.ALL), "cases")
