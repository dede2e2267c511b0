// Every tensor a model has, by family and head. The recipe's checks know them too, so the list itself is shared.
export {
  elementCount,
  isHeadTensor,
  modelTensors,
  parameterCount,
  type TensorShape,
} from "#shared/domain/model-tensors";
