import Foundation
import TestSupport
import Testing
import Torch

/// A function of some tensors in the engine, and by its definition in float64.
struct DifferentiableCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let shapes: [[Int]]
    let engine: @Sendable ([Tensor]) -> Tensor
    let formula: @Sendable ([[Double]]) -> [Double]

    init(
        _ name: String, _ shapes: [[Int]], engine: @escaping @Sendable ([Tensor]) -> Tensor,
        formula: @escaping @Sendable ([[Double]]) -> [Double]
    ) {
        (testDescription, self.shapes, self.engine, self.formula) = (name, shapes, engine, formula)
    }

    static let all = [
        DifferentiableCase("arithmetic", [[5], [5]]) {
            ($0[0] * $0[1] - 2 / ($0[0] + 3) + 0.5).exp() - ($0[1].square() + 1).squareRoot()
        } formula: {
            zip($0[0], $0[1]).map { exp($0 * $1 - 2 / ($0 + 3) + 0.5) - sqrt($1 * $1 + 1) }
        },
        DifferentiableCase("functions of one number", [[5]]) {
            $0[0].sin() * $0[0].cos() - $0[0].abs()
        } formula: {
            $0[0].map { sin($0) * cos($0) - abs($0) }
        },
        DifferentiableCase("linear", [[3, 4], [5, 4], [5]]) {
            $0[0].linear($0[1], $0[2])
        } formula: {
            Formulas.linear($0[0], $0[1], $0[2])
        },
        DifferentiableCase("layer norm", [[3, 8], [8], [8]]) {
            $0[0].layerNormalized($0[1], $0[2], epsilon: 1e-6)
        } formula: { x in
            Formulas.normalized(x[0], size: 8, epsilon: 1e-6).enumerated().map { $1 * x[1][$0 % 8] + x[2][$0 % 8] }
        },
        DifferentiableCase("group norm", [[2, 4, 3], [4], [4]]) {
            $0[0].groupNormalized(groups: 2, $0[1], $0[2], epsilon: 1e-2)
        } formula: { x in
            Formulas.normalized(x[0], size: 6, epsilon: 1e-2).enumerated()
                .map { $1 * x[1][$0 / 3 % 4] + x[2][$0 / 3 % 4] }
        },
        DifferentiableCase("GELU", [[7]]) {
            ($0[0] * 3).gelu()
        } formula: {
            $0[0].map { Formulas.gelu(3 * $0) }
        },
        DifferentiableCase("SiLU", [[7]]) {
            ($0[0] * 3).silu()
        } formula: {
            $0[0].map { Formulas.silu(3 * $0) }
        },
        DifferentiableCase("softmax", [[5]]) {
            $0[0].softmax(axis: 0)
        } formula: {
            Formulas.softmax($0[0])
        },
        DifferentiableCase("attention", [[2, 3, 1, 4], [2, 3, 1, 4], [2, 3, 1, 4]]) {
            $0[0].attention(keys: $0[1], values: $0[2])
        } formula: {
            Formulas.attention($0[0], $0[1], $0[2], tokens: 3, width: 4)
        },
        DifferentiableCase("convolution", [[1, 2, 5, 5], [3, 2, 2, 2], [3]]) {
            $0[0].convolved($0[1], $0[2], stride: 2, padding: 1)
        } formula: {
            Formulas.convolution($0[0], $0[1], $0[2], side: 5, k: 2, stride: 2, padding: 1)
        },
        DifferentiableCase("table", [[4, 3]]) {
            Tensor([2, 0, 2]).embedded(in: $0[0])
        } formula: { x in
            [2, 0, 2].flatMap { x[0][3 * $0..<3 * $0 + 3] }
        },
    ]
}

extension EngineTests {
    @Suite struct AutogradTests {
        /// Parameters are float32; converted to float64 they give float64 results, here up to 1e-12. Only the gradient
        /// is rounded to float32 on its way back, by at most 6e-8 of itself.
        @Test(arguments: DifferentiableCase.all)
        func valuesAndGradientsAreThoseOfTheDefinition(function: DifferentiableCase) throws {
            let inputs = function.shapes.enumerated().map { pattern($1.reduce(1, *), Double($0)) }
            let parameters = zip(inputs, function.shapes).map { Parameter($0, shape: $1) }
            let output = function.engine(parameters.map { $0.value.to(.F64) })
            let expected = function.formula(inputs)
            try #require(output.count == expected.count)
            expectClose(output.doubles, expected, 1e-12)

            // A sum with different weights sees every element of the output by itself.
            let weights = pattern(expected.count, 0.5)
            (output * Tensor(weights, shape: output.shape)).sum().backward()
            for (index, parameter) in parameters.enumerated() {
                let gradient = try #require(parameter.value.gradient)
                #expect(gradient.shape == function.shapes[index])
                let differences = Formulas.centralDifferences(inputs[index]) { changed in
                    var all = inputs
                    all[index] = changed
                    return zip(function.formula(all), weights).reduce(0) { $0 + $1.0 * $1.1 }
                }
                expectClose(gradient.doubles, differences, 1e-7, "input \(index)")
            }
        }

        @Test func backwardPassesAddUp() {
            let x = Parameter([1, -2], shape: [2])
            x.value.square().sum().backward()
            #expect(x.value.gradient?.doubles == [2, -4])
            (3 * x.value).sum().backward()
            #expect(x.value.gradient?.doubles == [5, -1])
            [NamedParameter](of: x).removeGradients()
            #expect(x.value.gradient == nil)
        }

        @Test func nothingIsRecordedWithoutGradients() {
            let x = Parameter([1, -2], shape: [2])
            let fixed = withoutGradients { x.value.square() }
            (fixed * x.value).sum().backward()
            // d(c x)/dx = c with c = x^2 taken as a constant; with its own derivative it would be 3 x^2.
            #expect(x.value.gradient?.doubles == [1, 4])
        }

        @Test func anInnerScopeDoesNotEndTheOuter() {
            let x = Parameter([3], shape: [1])
            let fixed = withoutGradients {
                withoutGradients {}
                return x.value * 1
            }
            (fixed * x.value).sum().backward()
            #expect(x.value.gradient?.doubles == [3])
        }

        @Test func detachedTensorsAreConstants() {
            let x = Parameter([1, -2], shape: [2])
            (x.value.detached().square() * x.value).sum().backward()
            #expect(x.value.gradient?.doubles == [1, 4])
        }

        @Test func fixedParametersGetNoGradient() {
            let fixed = Parameter([2], .ones, isTrained: false, on: .cpu)
            fixed.assign(.full([2], 3))
            let x = Parameter([1, -2], shape: [2])
            (fixed.value * x.value).sum().backward()
            #expect(x.value.gradient?.doubles == [3, 3])
            #expect(fixed.value.gradient == nil)
        }
    }
}

/// Parameters without a network around them.
struct Loose: Module {
    let parts: [Parameter]

    func walk(_ visit: inout Walk) {
        for (index, part) in parts.enumerated() { visit("\(index)", part) }
    }
}

extension [NamedParameter] {
    init(of parts: Parameter...) { self = Loose(parts: parts).parameters() }
}
