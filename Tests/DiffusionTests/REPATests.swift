import Diffusion
import Models
import TestSupport
import Testing
import Torch

extension MethodTests {
    /// The values themselves are held by golden files.
    @Suite struct REPATests {
        @Test func headsHaveTheirPublishedNames() {
            let names = repa().objective(for: small, teacher: nil, on: .cpu).parameters().map(\.name)
            let layers = (0..<2).flatMap { head in [0, 2, 4].map { "projectors.\(head).\($0)" } }
            #expect(names == layers.flatMap { [$0 + ".weight", $0 + ".bias"] })
        }

        /// The features of a picture that is followed exactly have the least loss that there is.
        @Test func featuresThatPointAlikeHaveALossOfMinusOne() {
            let objective = repa { $0.targets.widths = [6] }.objective(for: small, teacher: nil, on: .cpu)
            objective.scatter("head")
            let tokens = Tensor(
                Draws(seed: 3).normals(.noise, step: 0, item: 0, count: 4 * small.tokens * small.hidden)
            )
            .reshaped([4, small.tokens, small.hidden])
            let features = [repa().alignment.studentDepth: tokens]
            func loss(_ targets: [Tensor]) -> [Double] {
                var batch = batch(at: [0.1, 0.2, 0.3, 0.4])
                batch.targets = targets
                return objective.alignment(features, batch.noised(along: .linear)).perSample.doubles
            }
            let others = Tensor.full([4, small.tokens, 6], 1)
            #expect(loss([others]).allSatisfy { $0 > -0.99 })
            let head = Projector(small.hidden, width: 16, outputs: 6, on: .cpu)
            for (mine, theirs) in zip(head.parameters(), objective.parameters()) {
                mine.parameter.assign(theirs.parameter.value.detached())
            }
            // In float32 a cosine of 1 comes out as 1 to 1e-6.
            #expect(loss([7 * head(tokens).detached()]).allSatisfy { abs($0 + 1) < 1e-6 })
        }

        /// Features that fall along a diagonal stay such a plane at another size, but at the edges, where there is nothing beyond.
        @Test(arguments: [12, 24, 48]) func resampledFeaturesKeepTheirPlaces(side: Int) {
            let own = 24
            func plane(_ side: Int) -> [Float] {
                (0..<side * side).map {
                    (Float($0 / side) + 0.5) / Float(side) + 3 * (Float($0 % side) + 0.5) / Float(side)
                }
            }
            let features = Tensor(plane(own), shape: [1, own * own, 1]).resampledFeatures(tokens: side * side)
            let values = features.doubles
            for (place, expected) in plane(side).enumerated() {
                let (row, column) = (place / side, place % side)
                let edge = side / 4
                guard (edge..<side - edge).contains(row), (edge..<side - edge).contains(column) else { continue }
                #expect(abs(values[place] - Double(expected)) < 1e-5, "place \(place)")
            }
        }

        @Test func tokensThatDoNotFitAreRefusedOrResampled() {
            var settings = TargetSettings()
            #expect(settings.problem(tokens: small.tokens, encoder: "e.pt", for: small) == nil)
            #expect(settings.problem(tokens: 100, encoder: "e.pt", for: small)?.contains("fit=resample") == true)
            settings.fit = .resample
            #expect(settings.problem(tokens: 100, encoder: "e.pt", for: small) == nil)
            #expect(settings.problem(tokens: 101, encoder: "e.pt", for: small)?.contains("no square") == true)
        }
    }
}
