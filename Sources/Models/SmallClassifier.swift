import Torch

/// A small residual network that classifies small images, and whose features compare sets of them: 3 x 3 convolutions
/// with batch norm and ReLU, halved three times, two residual blocks (after the ResNet-9 of DAWNBench's fast entries).
///
/// Images are [B, 3, R, R] from -1 to 1, R a multiple of 8.
public struct SmallClassifier: Module {
    /// The channels after the stem and after each halving.
    public static let widths = [16, 32, 64, 128]

    private let stem: ConvBatchNorm
    private let halvings: [ConvBatchNorm]
    private let residuals: [ResidualBlock]
    private let head: Linear

    /// Builds the network for a number of classes without setting its parameters.
    public init(classes: Int, on device: Device = .cpu) {
        let widths = Self.widths
        stem = ConvBatchNorm(3, widths[0], on: device)
        halvings = (1..<widths.count).map { ConvBatchNorm(widths[$0 - 1], widths[$0], on: device) }
        residuals = [1, 3].map { ResidualBlock(widths[$0], on: device) }
        head = Linear(widths.last!, classes, on: device)
    }

    public func walk(_ visit: inout Walk) {
        visit("stem", stem)
        visit("halvings", halvings)
        visit("residuals", residuals)
        visit("head", head)
    }

    /// The logits [B, K]. In training, batch norm uses the statistics of the batch.
    public func callAsFunction(_ images: Tensor, isTraining: Bool = false) -> Tensor {
        var x = stem(images, isTraining)
        for (index, halving) in halvings.enumerated() {
            x = halving(x, isTraining).maximumPooled(side: 2, stride: 2)
            if index != 1 { x = residuals[index / 2](x, isTraining) }
        }
        return head(x.mean([2, 3]))
    }

    /// The network as a TorchScript module, with batch norm folded into the convolutions. It takes images of any size,
    /// uint8 or numbers from 0 to 1; `forward` returns (features [B, D], logits [B, K]), `patches` [B, N, D].
    public func script(side: Int) -> (source: String, tensors: [(name: String, tensor: Tensor)]) {
        let layers = [stem, halvings[0]] + residuals[0].layers + [halvings[1], halvings[2]] + residuals[1].layers
        let folded = layers.map(\.folded)
        var tensors = folded.enumerated().flatMap { index, layer in
            [("weight\(index)", layer.weight), ("bias\(index)", layer.bias)]
        }
        tensors += [("head_weight", head.weight.value), ("head_bias", head.bias!.value)]
        let source = """
            def layer(self, x, weight, bias):
                return torch.relu(torch.conv2d(x, weight, bias, [1, 1], [1, 1]))
            def halved(self, x):
                return torch.max_pool2d(x, [2, 2], [2, 2])
            def maps(self, images):
                x = images
                if not torch.is_floating_point(x):
                    x = x / 255.0
                if x.size(2) != \(side) or x.size(3) != \(side):
                    x = torch.upsample_bilinear2d(x, [\(side), \(side)], False)
                x = x * 2.0 - 1.0
                x = self.layer(x, self.weight0, self.bias0)
                x = self.halved(self.layer(x, self.weight1, self.bias1))
                x = x + self.layer(self.layer(x, self.weight2, self.bias2), self.weight3, self.bias3)
                x = self.halved(self.layer(x, self.weight4, self.bias4))
                x = self.halved(self.layer(x, self.weight5, self.bias5))
                return x + self.layer(self.layer(x, self.weight6, self.bias6), self.weight7, self.bias7)
            def patches(self, images):
                return torch.transpose(torch.flatten(self.maps(images), 2), 1, 2)
            def forward(self, images):
                features = torch.mean(self.maps(images), [2, 3])
                return features, torch.linear(features, self.head_weight, self.head_bias)

            """
        return (source, tensors.map { (name: $0.0, tensor: $0.1.detached()) })
    }
}

/// A convolution without bias, batch norm, ReLU: [B, I, H, W] -> [B, O, H, W].
private struct ConvBatchNorm: Module {
    private static let (epsilon, momentum) = (1e-5, 0.1)

    private let kernel, weight, bias, mean, variance: Parameter

    init(_ inputs: Int, _ outputs: Int, on device: Device) {
        func vector(_ initializer: Initializer, isTrained: Bool) -> Parameter {
            Parameter([outputs], initializer, isTrained: isTrained, on: device)
        }
        kernel = Parameter([outputs, inputs, 3, 3], .xavierUniform, on: device)
        (weight, bias) = (vector(.ones, isTrained: true), vector(.zeros, isTrained: true))
        (mean, variance) = (vector(.zeros, isTrained: false), vector(.ones, isTrained: false))
    }

    func walk(_ visit: inout Walk) {
        visit("conv.weight", kernel)
        visit("bn.weight", weight)
        visit("bn.bias", bias)
        visit("bn.running_mean", mean)
        visit("bn.running_var", variance)
    }

    func callAsFunction(_ x: Tensor, _ isTraining: Bool) -> Tensor {
        x.convolved(kernel.value, nil, stride: 1, padding: 1).batchNormalized(
            weight.value, bias.value, mean: mean.value, variance: variance.value, epsilon: Self.epsilon,
            momentum: isTraining ? Self.momentum : nil
        ).relu()
    }

    /// The equivalent convolution with a bias, using the stored statistics.
    var folded: (weight: Tensor, bias: Tensor) {
        withoutGradients {
            let scale = weight.value / (variance.value + Self.epsilon).squareRoot()
            return (kernel.value * scale.reshaped([-1, 1, 1, 1]), bias.value - mean.value * scale)
        }
    }
}

/// A residual block x + f(x) with two convolutions that keep the channels.
private struct ResidualBlock: Module {
    let layers: [ConvBatchNorm]

    init(_ channels: Int, on device: Device) {
        layers = (0..<2).map { _ in ConvBatchNorm(channels, channels, on: device) }
    }

    func walk(_ visit: inout Walk) { visit("layers", layers) }

    func callAsFunction(_ x: Tensor, _ isTraining: Bool) -> Tensor {
        x + layers[1](layers[0](x, isTraining), isTraining)
    }
}
