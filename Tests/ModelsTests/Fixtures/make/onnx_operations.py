"""An ONNX model of one operation of each kind, with what onnxruntime gives for it.

Writes `onnx-operations.onnx` (opset 18), each operation a result of the graph and alone in a scope of its own, and
`onnx-operations.safetensors` with `sample/SCOPE`, as `graphs.py` picks it, for two images that were run one by one. The input follows the fill of
`fixture.py`, and so do weights.

    python onnx_operations.py  # needs onnx, onnxruntime and safetensors
"""

import json

import numpy as np
import onnx
import onnxruntime as ort
import torch
from fixture import OUT, filled, splitmix
from onnx import TensorProto, helper
from onnx import numpy_helper as nh
from safetensors.torch import save_file

nodes, tensors, results = [], [], []


def weight(name, shape, **more):
    tensors.append(nh.from_array(filled(name, shape).numpy().astype(np.float32), name))
    return name


def constant(value, dtype=np.int64):
    name = f"constant_{len(tensors)}"
    tensors.append(nh.from_array(np.array(value, dtype), name))
    return name


def step(operation, inputs, scope, outputs=None, **attributes):
    outputs = outputs or [f"{scope}_{len(nodes)}"]
    nodes.append(helper.make_node(operation, inputs, outputs, f"/{scope}/{operation}_{len(nodes)}", **attributes))
    return outputs[0]


def case(scope, operation, inputs, outputs=None, **attributes):
    results.append((scope, step(operation, inputs, scope, outputs, **attributes)))
    return results[-1][1]


x = "x"  # [1, 4, 6, 6]
for name in ["Relu", "Sigmoid", "Tanh", "Erf", "Exp", "Neg", "Abs", "Sin", "Cos", "Softplus", "Mish", "HardSwish"]:
    case(name.lower(), name, [x])
positive = step("Add", [step("Abs", [x], "positive"), constant(0.5, np.float32)], "positive")
for name in ["Log", "Sqrt", "Reciprocal"]:
    case(name.lower(), name, [positive])
case("leaky", "LeakyRelu", [x], alpha=0.2)
case("elu", "Elu", [x], alpha=0.7)
case("selu", "Selu", [x])
case("celu", "Celu", [x], alpha=0.6)
case("softsign", "Softsign", [x])
case("hardsigmoid", "HardSigmoid", [x])
case("hardsigmoid6", "HardSigmoid", [x], alpha=1 / 6)
case("clip", "Clip", [x, constant(-0.3, np.float32), constant(0.4, np.float32)])
case("cliplow", "Clip", [x, constant(-0.3, np.float32)])
case("prelu", "PRelu", [x, weight("slope", [4, 1, 1])])
case("softmax", "Softmax", [x], axis=1)
case("logsoftmax", "LogSoftmax", [x])
# Arithmetic, with constants on either side and extents that repeat.
row = weight("row", [6])
case("add", "Add", [row, x])
case("subfrom", "Sub", [constant(1.5, np.float32), x])
case("div", "Div", [x, constant([3.0], np.float32)])
case("divide", "Div", [row, positive])
case("pow", "Pow", [positive, constant(1.5, np.float32)])
case("sumthree", "Sum", [x, row, positive])
case("maxone", "Max", [x, constant(0.1, np.float32)])
case("maxtwo", "Max", [x, row])
case("mintwo", "Min", [row, x])
case("maxthree", "Max", [row, x, positive])
case("meanthree", "Mean", [x, row, positive])
even = step("Equal", [step("Mod", [constant(np.arange(6)), constant(2)], "where"), constant(0)], "where")
case("where", "Where", [even, x, row])
case("filled", "Where", [even, constant(-2.0, np.float32), x])
case("unlike", "Where", [step("And", [even, step("Not", [even], "unlike")], "unlike"), row, x])
# Extents and tables.
shape = step("Shape", [x], "flat")
first = step("Gather", [shape, constant(0)], "flat")
rest = step("ReduceProd", [step("Slice", [shape, constant([1]), constant([2**63 - 1])], "flat")], "flat", keepdims=0)
both = [step("Unsqueeze", [value, constant([0])], "flat") for value in (first, rest)]
case("flat", "Reshape", [x, step("Concat", both, "flat", axis=0)])
case("reshapezero", "Reshape", [x, constant([0, -1, 3])])
case("flatten", "Flatten", [x])
case("transpose", "Transpose", [x], perm=[0, 2, 3, 1])
case("unsqueeze", "Unsqueeze", [x, constant([-1, 1])])
case("squeeze", "Squeeze", [step("ReduceMean", [x, constant([2])], "squeeze"), constant([2])])
case("concat", "Concat", [x, step("Expand", [weight("token", [1, 1, 1, 6]), constant([1, 2, 6, 1])], "concat")], axis=1)
case("split", "Add", [step("Split", [x, constant([1, 3])], "split", ["s1", "s3"], axis=1), "s3"])
case("halves", "Sub", [step("Split", [x], "halves", ["h1", "h2"], axis=3, num_outputs=2), "h2"])
case("slice", "Slice", [x, constant([1, -4]), constant([4, 2**31]), constant([1, 2]), constant([1, 2])])
case("backwards", "Slice", [x, constant([-1, 4]), constant([-2**31, 0]), constant([3, 2]), constant([-1, -2])])
case("gatherone", "Gather", [x, constant(-1)], axis=2)
case("gathertwo", "Gather", [x, constant([[0, 2], [3, 1]])], axis=1)
case("strided", "Gather", [step("Reshape", [x, constant([-1])], "strided"), constant([[[0, 140, 7], [9, 9, 31]]])], axis=0)
table = weight("table", [5, 3])
case("gathernd", "Add", [
    step("Reshape", [step("GatherND", [table, constant([[4, 0], [1, 2], [0, 0], [2, 1], [3, 1], [4, 2]])], "gathernd"),
                     constant([6])], "gathernd"), x])
case("tile", "Tile", [x, constant([1, 2, 1, 3])])
case("pad", "Pad", [x, constant([0, 0, 1, 2, 0, 1, 0, -1]), constant(0.25, np.float32)])
case("reflect", "Pad", [x, constant([2, 1, 1, 0]), "", constant([2, 3])], mode="reflect")
case("edge", "Pad", [x, constant([0, 0, 1, 2, 0, 0, 2, 1])], mode="edge")
case("depth", "DepthToSpace", [x], blocksize=2)
case("depthcrd", "DepthToSpace", [x], blocksize=2, mode="CRD")
case("space", "SpaceToDepth", [x], blocksize=2)
span = step("Cast", [step("Range", [constant(0), constant(6), constant(1)], "range")], "range", to=TensorProto.FLOAT)
case("range", "Mul", [x, span])
zeros = step("ConstantOfShape", [constant([6, 6])], "scatter", value=nh.from_array(np.array([1.5], np.float32)))
put = step("ScatterND", [zeros, constant([[1], [4]]), constant(np.full((2, 6), 3), np.float32)], "scatter")
case("scatter", "Add", [step("Trilu", [put, constant(1)], "scatter"), x])
case("put", "ScatterND", [x, constant([[[0, 3, 1], [0, 0, 5]]]), weight("put", [1, 2, 6])])
case("putown", "ScatterND", [
    step("Transpose", [x], "putown", perm=[2, 1, 0, 3]), constant([[4], [1]]),
    step("Slice", [step("Transpose", [x], "putown", perm=[2, 1, 0, 3]), constant([0]), constant([2]), constant([0])], "putown")])
case("putimages", "ScatterND", [
    x, constant([[[0, 2], [0, 0]]]), step("Slice", [x, constant([1]), constant([3]), constant([1])], "putimages")])
case("flattenrows", "Mul", [step("Flatten", [step("Reshape", [x, constant([1, 36, 4])], "flattenrows")], "flattenrows", axis=2), weight("rows", [4])])
case("lower", "Mul", [step("Trilu", [zeros], "lower", upper=0), x])
case("cumsum", "CumSum", [x, constant(3)])
# Products and normalisations.
case("matmul", "MatMul", [x, weight("product", [6, 5])])
case("left", "MatMul", [weight("left", [3, 6]), x])
case("self", "MatMul", [x, step("Transpose", [x], "self", perm=[0, 1, 3, 2])])
features = step("Flatten", [x], "gemm")
case("gemm", "Gemm", [features, weight("gemm.weight", [5, 144]), weight("gemm.bias", [5])], transB=1)
case("gemmscaled", "Gemm", [features, weight("gemm.other", [144, 5]), weight("gemm.row", [1, 5])], alpha=0.5, beta=2.0)
case("einsum", "Einsum", [x, weight("einsum", [6, 3])], equation="bchw,wd->bchd")
case("layernorm", "LayerNormalization", [x, weight("ln.weight", [6]), weight("ln.bias", [6])], epsilon=1e-3)
case("layernorm2", "LayerNormalization", [x, weight("ln2", [6, 6])], axis=2)
case("batchnorm", "BatchNormalization", [
    x, weight("bn.weight", [4]), weight("bn.bias", [4]), weight("bn.running_mean", [4]), weight("bn.running_var", [4])])
case("instancenorm", "InstanceNormalization", [x, weight("in.weight", [4]), weight("in.bias", [4])])
case("groupnorm", "GroupNormalization", [x, weight("gn.weight", [2]), weight("gn.bias", [2])], num_groups=2)
case("lpnorm", "LpNormalization", [x], axis=1)
case("mean", "ReduceMean", [x, constant([1])], keepdims=0)
case("sum", "ReduceSum", [x, constant([-1, -2])])
case("largest", "ReduceMax", [x, constant([3])])
case("smallest", "ReduceMin", [x, constant([1, 3])])
case("norm2", "ReduceL2", [x, constant([1])])
case("norm1", "ReduceL1", [x, constant([1])])
case("squares", "ReduceSumSquare", [x, constant([2])])
case("logsum", "ReduceLogSum", [positive, constant([1])], keepdims=0)
case("logsumexp", "ReduceLogSumExp", [x, constant([2, 3])])
total = step("ReduceMean", [constant(np.arange(6.0), np.float32)], "folded", keepdims=0)
case("folded", "Mul", [x, step("Sub", [total, step("ReduceMin", [span], "folded")], "folded")])
# Maps.
case("conv", "Conv", [x, weight("conv", [6, 2, 3, 2]), weight("conv.bias", [6])], group=2, pads=[1, 0, 2, 1],
     strides=[2, 1], dilations=[1, 2])
case("same", "Conv", [x, weight("same", [4, 1, 3, 3])], group=4, auto_pad="SAME_UPPER", strides=[2, 2])
case("samelow", "Conv", [x, weight("samelow", [2, 4, 2, 2])], auto_pad="SAME_LOWER", kernel_shape=[2, 2])
case("maxpool", "MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0], ceil_mode=1)
case("maxpool1", "MaxPool", [x], kernel_shape=[2, 2])
case("averagepool", "AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
case("averagepad", "AveragePool", [x], kernel_shape=[2, 3], pads=[0, 1, 1, 1], count_include_pad=1)
case("global", "GlobalAveragePool", [x])
case("globalmax", "GlobalMaxPool", [x])
case("deconv", "ConvTranspose", [x, weight("deconv", [4, 3, 3, 2]), weight("deconv.bias", [6])], group=2, pads=[1, 0, 0, 1],
     strides=[2, 3], output_padding=[1, 0])
rows = step("Reshape", [x, constant([1, 6, 24])], "rows")
case("conv1", "Conv", [rows, weight("conv1", [4, 3, 5]), weight("conv1.bias", [4])], group=2, pads=[1, 2], strides=[2])
case("deconv1", "ConvTranspose", [rows, weight("deconv1", [6, 2, 4])], pads=[1, 0], strides=[2], dilations=[2])
case("maxpool3", "MaxPool", [rows], kernel_shape=[3], strides=[2], pads=[0, 1])
case("averagepool3", "AveragePool", [rows], kernel_shape=[4], strides=[3], pads=[1, 1], count_include_pad=1)
case("global3", "GlobalAveragePool", [rows])
places = step("Tanh", [step("Reshape", [step("Mul", [x, constant(3.0, np.float32)], "places"), constant([1, 8, 9, 2])], "places")], "places")
wide = step("Mul", [places, constant(1.3, np.float32)], "places")
case("grid", "GridSample", [x, wide])
case("gridborder", "GridSample", [x, wide], padding_mode="border", align_corners=1)
case("gridreflect", "GridSample", [x, wide], padding_mode="reflection")
case("gridnearest", "GridSample", [x, wide], mode="nearest")
case("gridcubic", "GridSample", [x, wide], mode="bicubic", padding_mode="reflection", align_corners=1)
case("gridfixed", "GridSample", [x, weight("grid", [1, 3, 2, 2])], padding_mode="border")
up = constant([1.0, 1.0, 2.0, 1.5], np.float32)
size = constant([1, 4, 9, 4])
case("nearest", "Resize", [x, "", up], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
case("linear", "Resize", [x, "", up], mode="linear")
case("corners", "Resize", [x, "", "", size], mode="linear", coordinate_transformation_mode="align_corners")
case("cubic", "Resize", [x, "", "", size], mode="cubic", coordinate_transformation_mode="pytorch_half_pixel")
half = constant([1.0, 1.0, 0.5, 0.5], np.float32)
case("lineartf", "Resize", [x, "", up], mode="linear", coordinate_transformation_mode="asymmetric")
case("nearesthalf", "Resize", [x, "", up], mode="nearest")
case("nearestup", "Resize", [x, "", "", size], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="ceil")
case("cubicin", "Resize", [x, "", "", size], mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1)
case("linearhalf", "Resize", [x, "", half], mode="linear", antialias=1, exclude_outside=1)
case("cubichalf", "Resize", [x, "", half], mode="cubic", antialias=1, exclude_outside=1)
case("linearrow", "Resize", [rows, "", constant([1.0, 1.0, 1.25], np.float32)], mode="linear")
columns = step("Reshape", [x, constant([1, 16, 9])], "columns")
case("columns", "Col2Im", [columns, constant([6, 6]), constant([2, 2])], strides=[2, 2])
# Zeros where a softmax has no value, as exporters write it.
soft = step("Softmax", [x], "safe")
case("safe", "Where", [step("IsNaN", [soft], "safe"), constant(0.0, np.float32), soft])

graph = helper.make_graph(
    nodes, "operations", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 6, 6])],
    [helper.make_tensor_value_info(value, TensorProto.FLOAT, None) for _, value in results], tensors)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="onnx.helper")
model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
del model.graph.value_info[:]
onnx.save(model, OUT / "onnx-operations.onnx")
images = filled("input", [2, 4, 6, 6], signed=True).numpy().astype(np.float32)
session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
parts = [session.run(None, {"x": images[index:index + 1]}) for index in range(2)]
golden, taps = {}, {}
for (scope, _), *both in zip(results, *parts):
    value = torch.from_numpy(np.concatenate(both))
    taps[scope] = list(value.shape)
    index = torch.from_numpy((splitmix(f"sample/{scope}", 48) % value.numel()).astype("int64"))
    golden[f"sample/{scope}"] = value.reshape(-1)[index].contiguous()
save_file(
    golden, OUT / "onnx-operations.safetensors",
    {"family": "onnx", "input_shape": json.dumps([2, 4, 6, 6]), "taps": json.dumps(taps),
     "versions": f"onnx {onnx.__version__}, onnxruntime {ort.__version__}"})
print(len(golden), "operations")
