import TestSupport
import Testing
import Transcend

@Suite struct SeedValuesTests {
    private func values(_ numbers: Double?...) -> SeedValues {
        SeedValues(numbers.enumerated().map { (UInt64($0.offset), $0.element) })
    }

    @Test func meanAndSpreadAreThoseByHand() {
        #expect(values().mean == nil && values(nil).spread == nil)
        #expect(values(3).mean == 3 && values(3).spread == nil)
        #expect(values(2, 5).mean == 3.5 && values(2, 5).spread == 3)
        // Deviations -2, -1, 3 from 4: a variance of 14 / 2.
        #expect(values(2, 3, 7).mean == 4 && values(2, 3, 7).spread == 7.0.squareRoot())
    }

    @Test func seedsThatOneLacksDoNotCount() {
        let own = values(nil, 2, 4)
        #expect(own.common(with: values(1, 5)).values.map(\.seed) == [1])
        #expect(own.verdict(against: values(3), of: "plain") == nil)
        let verdict = own.verdict(against: values(9, 3, 5), of: "plain")
        #expect(verdict?.hasPrefix("1 (25.0 %) lower than plain in the mean of 2 seeds") == true, "\(verdict ?? "")")
    }

    /// A difference counts only beyond the larger spread of both.
    @Test(arguments: [
        (
            [2.0, 2.1], [3.0, 3.5],
            "1.2 (36.9 %) lower than plain in the mean of 2 seeds; the two seeds differ by up to 0.5, so that the difference is larger than what seeds make."
        ),
        (
            [2.0, 4.0], [3.5, 3.5],
            "0.5 (14.3 %) lower than plain in the mean of 2 seeds; the two seeds differ by up to 2, so that seeds alone make as much."
        ),
        (
            [4.0, 5.0, 6.0], [3.0, 3.0, 3.0],
            "2 (66.7 %) higher than plain in the mean of 3 seeds; the seeds' standard deviation is up to 1, so that the difference is larger than what seeds make."
        ),
        (
            [2.0], [3.0],
            "1 (33.3 %) lower than plain, of one seed; whether another seed would change as much cannot be told."
        ),
    ])
    func theVerdictFollowsTheNumbers(own: [Double], others: [Double], verdict: String) {
        let (first, second) = (SeedValues(numbered(own)), SeedValues(numbered(others)))
        #expect(first.verdict(against: second, of: "plain") == verdict)
    }

    private func numbered(_ numbers: [Double]) -> [(seed: UInt64, value: Double?)] {
        numbers.enumerated().map { (UInt64($0.offset), $0.element) }
    }
}
