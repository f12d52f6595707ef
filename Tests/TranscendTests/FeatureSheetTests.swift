import Data
import Testing
import Transcend

@Suite struct FeatureSheetTests {
    /// Pictures with these labels.
    private struct Labelled: Dataset {
        let labels: [Int]
        var count: Int { labels.count }
        var classNames: [String] { (0...labels.max()!).map(String.init) }
        let channels = 3
        let side = 8
        func label(_ index: Int) -> Int { labels[index] }
        func copyImage(
            _ index: Int, epoch: Int, into image: UnsafeMutableBufferPointer<Float>, mirrored: Bool
        ) { image.update(repeating: 0) }
    }

    @Test func examplesAreOfDifferentClasses() {
        // Of every fourth picture, as all classes come in turn.
        let inTurn = FeatureSheet.examples(of: Labelled(labels: (0..<80).map { $0 % 10 }))
        #expect(inTurn == [10, 31, 52, 73])
        let few = FeatureSheet.examples(of: Labelled(labels: [0, 0, 0, 0, 0, 1]))
        #expect(Set(few).count == 4 && few.contains(5))
        #expect(FeatureSheet.examples(of: Labelled(labels: [0, 0])).sorted() == [0, 1])
    }
}
