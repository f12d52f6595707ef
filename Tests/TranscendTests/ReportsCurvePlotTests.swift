import Data
import Foundation
import Testing
import Transcend

/// The first curve's colour, Okabe and Ito's blue.
private let firstColor = Canvas.Color(0x0072B2)

private func plot(_ points: [(step: Double, value: Double)], logarithmic: Bool = false) -> RGBImage {
    CurvePlot(
        title: "run", panels: [CurvePlot.Panel("loss", [CurvePlot.Series("main", points)], logarithmic: logarithmic)]
    ).render(width: 800)
}

/// The rows, in each column below the legend, that have the full colour of the first curve.
private func curve(_ picture: RGBImage) -> [Int: ClosedRange<Int>] {
    var found: [Int: ClosedRange<Int>] = [:]
    for x in 0..<picture.width {
        let rows = (140..<picture.height).filter { picture[x, $0] == firstColor }
        if let first = rows.first, let last = rows.last { found[x] = first...last }
    }
    return found
}

@Suite struct CurvePlotTests {
    @Test(arguments: [false, true])
    func anythingThatARunMayLogCanBeDrawn(logarithmic: Bool) {
        let cases: [[(step: Double, value: Double)]] = [
            [], [(0, 0)], [(7, 3.25)], [(7, 3.25), (7, 3.25)], [(0, .nan), (1, .infinity), (2, -.infinity)],
            (0..<500).map { (Double($0), 0.25) }, (0..<500).map { (Double($0), 0) },
            (0..<500).map { (Double($0), -1e9 * Double($0)) }, [(0, 1e308), (1, -1e308), (2, .leastNonzeroMagnitude)],
            [(.nan, 1), (.infinity, 2)], [(0, 1e14), (1e12, 1e14 + 1)],
        ]
        for points in cases {
            let picture = plot(points, logarithmic: logarithmic)
            #expect(picture.width == 800 && picture.height > 400)
        }
    }

    @Test func valuesThatAreNotFiniteLeaveNoTrace() {
        let clean = (0..<40).map { (step: Double($0), value: Double($0 % 7)) }
        let dirty = clean + [(step: 20.5, value: .nan), (step: 3, value: .infinity), (step: .nan, value: 1)]
        #expect(plot(dirty) == plot(clean))
    }

    @Test func onALogarithmicAxisZeroAndBelowAreLeftOut() {
        let clean = (1..<40).map { (step: Double($0), value: Double($0)) }
        #expect(plot(clean + [(40, 0), (41, -3)], logarithmic: true) == plot(clean, logarithmic: true))
    }

    @Test func theOrderOfRowsDoesNotMatter() {
        let points = (0..<300).map { (step: Double($0), value: 1 / (1 + Double($0))) }
        #expect(plot(points.reversed()) == plot(points))
    }

    @Test func aFallingCurveFallsFromTheUpperLeftToTheLowerRight() throws {
        let rows = curve(plot((0..<50).map { (Double($0), -Double($0)) }))
        let left = try #require(rows[rows.keys.min()!])
        let right = try #require(rows[rows.keys.max()!])
        #expect(left.upperBound < 200 && right.lowerBound > 750)
    }

    @Test func zeroAloneLiesAtTheBottom() throws {
        let rows = curve(plot((0..<500).map { (Double($0), 0) })).values
        // Of 820 pixels the panel's lower edge takes some 50.
        #expect(try #require(rows.map(\.lowerBound).min()) > 700)
    }

    @Test func anExponentialIsAStraightLineOnALogarithmicAxis() throws {
        let rows = curve(plot((0..<2000).map { (Double($0), pow(10, -Double($0) / 500)) }, logarithmic: true))
        let columns = rows.keys.sorted()
        func height(_ share: Double) throws -> Double {
            let range = try #require(rows[columns[Int(share * Double(columns.count - 1))]])
            return Double(range.lowerBound + range.upperBound) / 2
        }
        // Half way along it is half way down, within the thickness of the line.
        #expect(abs(try height(0.5) - (try height(0.1) + height(0.9)) / 2) < 3)
    }

    @Test func noiseIsSmoothedButTheEndsOfACurveStayInPlace() throws {
        // A straight fall with alternating noise a quarter as high: the smoothed line has no noise and no bent ends.
        let points = (0..<4000).map { step in
            let noise = step % 2 == 0 ? 0.125 : -0.125
            return (step: Double(step), value: 1 - Double(step) / 4000 + noise)
        }
        let rows = curve(plot(points))
        let columns = rows.keys.sorted()
        let heights = columns.map { Double(rows[$0]!.lowerBound + rows[$0]!.upperBound) / 2 }
        let first = columns.count / 4
        let last = 3 * columns.count / 4
        let slope = (heights[last] - heights[first]) / Double(columns[last] - columns[first])
        for (column, height) in zip(columns, heights) {
            let expected = heights[first] + slope * Double(column - columns[first])
            #expect(abs(height - expected) < 3)
        }
    }

    @Test func aSpikeDoesNotFlattenTheRest() {
        let calm = (0..<2000).map { (step: Double($0), value: 1 - Double($0) / 2000) }
        let spiked = calm.map { (step: $0.step, value: $0.step == 3 ? 1000 : $0.value) }
        let columns = curve(plot(spiked)).filter { $0.key > 200 }
        // Without the spike's height the curve still crosses most of the picture.
        let heights = columns.values.map(\.lowerBound)
        #expect(heights.max()! - heights.min()! > 300)
    }

    @Test func panelsStandInRowsOfTwoOrThree() {
        let panel = CurvePlot.Panel("loss", [])
        let pictures = (1...7).map { CurvePlot(title: "", panels: Array(repeating: panel, count: $0)).render() }
        // In the middle of the picture two columns have a gap, one and three have a panel.
        let gap = pictures[0][0, 0]
        #expect(pictures.map { $0[800, 250] == gap } == [false, true, true, true, false, false, false])
        #expect(pictures[2].height > pictures[1].height && pictures[5].height == pictures[2].height)
        #expect(pictures[6].height > pictures[5].height)
    }

    @Test func aSeriesIsReadFromTheRowsThatHaveItsValue() {
        let rows = [
            MetricsRow(step: 1, stage: "align", values: ["loss": 0.5]),
            MetricsRow(step: 2, stage: "align", values: ["fid": 30]),
            MetricsRow(step: 3, stage: "align", values: ["loss": 0.25, "fid": 20]),
        ]
        let series = CurvePlot.Series("denoising", of: "loss", in: rows)
        #expect(series.points.map(\.step) == [1, 3] && series.points.map(\.value) == [0.5, 0.25])
    }
}
