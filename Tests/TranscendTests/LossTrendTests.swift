import Testing
import Transcend

@Suite struct LossTrendTests {
    @Test func aRiseIsToldOnceUntilTheLossHasComeBack() {
        var trend = LossTrend()
        let losses = [(1.0, 300), (3.0, 300), (1.0, 600), (3.0, 300)]
        let told = losses.map { loss, steps in
            (0..<steps).compactMap { _ in trend.observe(loss, factor: 2) }.count
        }
        #expect(told == [0, 1, 0, 1])
    }

    @Test func noiseIsNoRise() {
        var trend = LossTrend()
        // Between 0.5 and 1.5, as losses of small batches are.
        let told = (0..<2000).compactMap { trend.observe(0.5 + Double($0 * 7919 % 1000) / 1000, factor: 1.5) }
        #expect(told.isEmpty)
    }

    @Test func withoutAFactorNothingIsTold() {
        var trend = LossTrend()
        #expect((0..<500).allSatisfy { trend.observe($0 < 200 ? 1 : 100, factor: 0) == nil })
    }
}
