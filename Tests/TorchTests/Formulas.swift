import Foundation

/// The layers in float64, written as their definitions say. Arrays lie row by row.
enum Formulas {
    /// x [n, i], weight [o, i], bias [o] -> [n, o].
    static func linear(_ x: [Double], _ weight: [Double], _ bias: [Double]) -> [Double] {
        let inputs = weight.count / bias.count
        return (0..<x.count / inputs).flatMap { row in
            bias.indices.map { output in
                (0..<inputs).reduce(bias[output]) { $0 + x[row * inputs + $1] * weight[output * inputs + $1] }
            }
        }
    }

    /// (x - mean) / sqrt(variance + epsilon) over every run of `size` numbers.
    static func normalized(_ x: [Double], size: Int, epsilon: Double) -> [Double] {
        stride(from: 0, to: x.count, by: size).flatMap { start in
            let run = x[start..<start + size]
            let mean = run.reduce(0, +) / Double(size)
            let variance = run.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(size)
            return run.map { ($0 - mean) / sqrt(variance + epsilon) }
        }
    }

    static func gelu(_ x: Double) -> Double { x / 2 * (1 + tanh(sqrt(2 / .pi) * (x + 0.044715 * x * x * x))) }

    static func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }

    static func softmax(_ x: [Double]) -> [Double] {
        let sum = x.reduce(0) { $0 + exp($1) }
        return x.map { exp($0) / sum }
    }

    /// Queries, keys and values [heads, tokens, width] -> the same.
    static func attention(_ q: [Double], _ k: [Double], _ v: [Double], tokens: Int, width: Int) -> [Double] {
        stride(from: 0, to: q.count, by: tokens * width).flatMap { head in
            (0..<tokens).flatMap { row in
                let scores = (0..<tokens).map { column in
                    (0..<width).reduce(0.0) { $0 + q[head + row * width + $1] * k[head + column * width + $1] }
                        / sqrt(Double(width))
                }
                let weights = softmax(scores)
                return (0..<width).map { lane in
                    (0..<tokens).reduce(0.0) { $0 + weights[$1] * v[head + $1 * width + lane] }
                }
            }
        }
    }

    /// Image [i, side, side], kernel [o, i, k, k], bias [o] -> [o, side', side'], zeros around the image.
    static func convolution(
        _ image: [Double], _ kernel: [Double], _ bias: [Double], side: Int, k: Int, stride: Int, padding: Int
    ) -> [Double] {
        let inputs = image.count / (side * side)
        let places = 0..<(side + 2 * padding - k) / stride + 1
        func pixel(_ channel: Int, _ row: Int, _ column: Int) -> Double {
            guard (0..<side).contains(row), (0..<side).contains(column) else { return 0 }
            return image[(channel * side + row) * side + column]
        }
        return bias.indices.flatMap { output in
            places.flatMap { row in
                places.map { column in
                    (0..<inputs * k * k).reduce(bias[output]) { sum, tap in
                        let (channel, y, x) = (tap / (k * k), tap / k % k, tap % k)
                        return sum + kernel[output * inputs * k * k + tap]
                            * pixel(channel, row * stride + y - padding, column * stride + x - padding)
                    }
                }
            }
        }
    }

    /// Derivatives of `function` at `values`. With a step of 1e-5 the error is about 1e-10 for functions of size 1.
    static func centralDifferences(_ values: [Double], _ function: ([Double]) -> Double) -> [Double] {
        values.indices.map { index in
            var (above, below) = (values, values)
            above[index] += 1e-5
            below[index] -= 1e-5
            return (function(above) - function(below)) / 2e-5
        }
    }
}
