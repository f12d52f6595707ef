import Synchronization
import Torch

/// Decides which picture each sample of a training run is.
///
/// Epochs follow one another without a gap: sample i belongs to epoch i div N and is at place i mod N of its order, so
/// no picture comes twice in an epoch and none is dropped.
public final class EpochOrder: Sendable {
    /// A picture and the epoch in which it comes.
    public struct Sample: Equatable, Sendable {
        /// The index of the picture in the data set.
        public var index: Int
        /// The epoch, counted from 0.
        public var epoch: Int
    }

    private let draws: Draws
    private let count: Int
    private let orders = Mutex<[Int: [Int32]]>([:])

    /// The order of a dataset of `count` pictures, drawn with the purpose "order" of `draws`.
    public init(draws: Draws, count: Int) {
        precondition(count > 0, "an empty dataset has no order")
        self.draws = draws
        self.count = count
    }

    /// The samples with these numbers, counted from 0 over the whole run.
    public func samples(_ numbers: Range<Int>) -> [Sample] {
        var epoch = -1
        var order: [Int32] = []
        return numbers.map { number in
            if number / count != epoch {
                epoch = number / count
                order = self.order(epoch)
            }
            return Sample(index: Int(order[number % count]), epoch: epoch)
        }
    }

    /// The order of an epoch; neighbouring epochs are cached for threads that are behind or ahead.
    private func order(_ epoch: Int) -> [Int32] {
        // Inside the lock, since threads that arrive meanwhile need the same order.
        orders.withLock { orders in
            if let order = orders[epoch] { return order }
            let order = draws.order(epoch: epoch, items: count)
            orders = orders.filter { abs($0.key - epoch) == 1 }
            orders[epoch] = order
            return order
        }
    }
}
