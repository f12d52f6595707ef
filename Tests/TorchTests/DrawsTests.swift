import Foundation
import TestSupport
import Testing
import Torch

extension EngineTests {
    @Suite struct DrawsTests {
        private let draws = Draws(seed: 0x1234_5678_9ABC_DEF0)

        /// Random123's kat_vectors, lines "philox4x32 10".
        @Test(
            arguments: [
                (0, SIMD4(0, 0, 0, 0), SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8)),
                (
                    .max, SIMD4(.max, .max, .max, .max), SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD)
                ),
                (
                    0x299F_31D0_A409_3822, SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344),
                    SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1)
                ),
            ] as [(UInt64, SIMD4<UInt32>, SIMD4<UInt32>)])
        func philoxGivesThePublishedVectors(key: UInt64, counter: SIMD4<UInt32>, words: SIMD4<UInt32>) {
            #expect(Philox.block(key, counter) == words)
        }

        /// Python, with the reference's draws.py and s = 0x123456789ABCDEF0: words(s, "initialise", 0, 0xDEADBEEF, 6).
        @Test func wordsAreThoseOfTheReference() {
            #expect(
                draws.words(.initialise, step: 0, item: 0xDEAD_BEEF, count: 6)
                    == [0x33A1_3E41, 0x3034_223F, 0x0141_CA39, 0x5E5D_58FE, 0xBCFA_879B, 0x2C09_B039])
        }

        /// uniform(s, "time", 7, 3, count=5), printed by Python with all digits; exact in float32.
        @Test func uniformNumbersAreThoseOfTheReference() {
            #expect(
                draws.uniforms(.time, step: 7, item: 3, count: 5).map(Double.init) == [
                    0.7674132585525513, 0.3866368532180786, 0.8337474465370178, 0.5725079774856567, 0.21216660737991333,
                ])
        }

        /// Box-Muller on the words of the same address with the C library's functions, in float64 and rounded once. Its
        /// log and cos may differ in the last bit of float64, which one rounding in 10^8 shows: none of these.
        @Test(arguments: [1, 2, 3, 4, 7, 64, 257, 100_003])
        func normalNumbersFollowBoxMuller(count: Int) {
            let words = draws.words(.noise, step: 7, item: 3, count: count + count % 2)
            let expected = stride(from: 0, to: words.count, by: 2).flatMap { pair in
                let u = (Double(words[pair]) + 0.5) / 4_294_967_296
                let v = (Double(words[pair + 1]) + 0.5) / 4_294_967_296
                let radius = sqrt(-2 * log(u))
                return [Float(radius * cos(2 * .pi * v)), Float(radius * sin(2 * .pi * v))]
            }
            #expect(draws.normals(.noise, step: 7, item: 3, count: count) == Array(expected.prefix(count)))
        }

        /// normal(s, "noise", 7, 3, count=6); numpy's log and cos may differ in the last bit before the rounding.
        @Test func normalNumbersAreThoseOfTheReference() {
            expectClose(
                draws.normals(.noise, step: 7, item: 3, count: 6).map(Double.init),
                [
                    -1.455129861831665, -0.7773628234863281, -0.4981827139854431, -0.8571021556854248,
                    -1.7662773132324219, -0.5663431286811829,
                ], 1e-7)
        }

        /// Four standard errors around the moments of the distributions, 100,000 numbers.
        @Test func distributionsHaveTheirMoments() {
            let count = 100_000
            let n = Double(count)
            let uniforms = draws.uniforms(.time, step: 0, item: 0, count: count).map(Double.init)
            #expect(uniforms.allSatisfy { $0 >= 0 && $0 < 1 })
            #expect(abs(uniforms.reduce(0, +) / n - 0.5) < 4 * sqrt(1 / 12 / n))
            let normals = draws.normals(.noise, step: 0, item: 0, count: count).map(Double.init)
            #expect(abs(normals.reduce(0, +) / n) < 4 / sqrt(n))
            #expect(abs(normals.reduce(0) { $0 + $1 * $1 } / n - 1) < 4 * sqrt(2 / n))
        }

        @Test func aLongerDrawBeginsWithTheShorter() {
            let long = draws.normals(.noise, step: 3, item: 5, count: 11)
            for count in 0...11 {
                #expect(draws.normals(.noise, step: 3, item: 5, count: count) == Array(long.prefix(count)))
            }
        }

        @Test func everyPartOfTheAddressCounts() {
            var seen: Set<[UInt32]> = [draws.words(.noise, step: 1, item: 2, count: 4)]
            seen.insert(Draws(seed: draws.seed ^ 1).words(.noise, step: 1, item: 2, count: 4))
            seen.insert(Draws(seed: draws.seed ^ 1 << 63).words(.noise, step: 1, item: 2, count: 4))
            seen.insert(draws.words(.noise, step: 2, item: 2, count: 4))
            seen.insert(draws.words(.noise, step: 1, item: 3, count: 4))
            seen.insert(draws.words(.noise, step: 2, item: 1, count: 4))
            for purpose in Draws.Purpose.allCases where purpose != .noise {
                seen.insert(draws.words(purpose, step: 1, item: 2, count: 4))
            }
            #expect(seen.count == 6 + Draws.Purpose.allCases.count - 1)
        }

        /// order(s, 2, 12).
        @Test func theOrderOfAnEpochIsThatOfTheReference() {
            #expect(draws.order(epoch: 2, items: 12) == [7, 3, 4, 1, 2, 9, 0, 8, 6, 10, 5, 11])
        }

        @Test func anOrderHoldsEveryItemOnceAndDiffersByEpoch() {
            let orders = (0..<3).map { draws.order(epoch: $0, items: 1000) }
            for order in orders { #expect(order.sorted() == Array(0..<1000)) }
            #expect(orders[0] != orders[1] && orders[1] != orders[2])
            #expect(draws.order(epoch: 1, items: 1000) == orders[1])
            // An item's key is its own: fewer items are the same order with the others left out.
            #expect(draws.order(epoch: 0, items: 600) == orders[0].filter { $0 < 600 })
            #expect(draws.order(epoch: 0, items: 0).isEmpty)
        }

        /// The vectors of the FNV authors (Fowler, Noll, Vo), 32-bit FNV-1a.
        @Test(
            arguments: [
                ("", 0x811C_9DC5), ("a", 0xE40C_292C), ("b", 0xE70C_2DE5), ("foobar", 0xBF9C_F968),
            ] as [(String, UInt32)])
        func namesAreHashedByFNV(text: String, hash: UInt32) { #expect(Draws.fnv1a(text) == hash) }

        @Test func theItemOfAParameterIsTheHashOfStageAndName() {
            #expect(Draws.item(stage: "foo", parameter: "bar") == Int(Draws.fnv1a("foo/bar")))
        }
    }
}
