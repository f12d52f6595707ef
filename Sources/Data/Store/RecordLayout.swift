import Formats
import Torch

/// The record that a store holds for each picture: a block of numbers of fixed size.
public struct RecordLayout: Codable, Equatable, Sendable {
    /// The content of a record.
    public enum Content: String, Codable, Sendable {
        /// Bytes of red, green and blue: [3, R, R].
        case pixels
        /// A latent without uncertainty: [C, R, R].
        case mean
        /// The normal distribution of a latent: its mean, then its standard deviation, [2 C, R, R].
        case meanAndDeviation
    }

    /// The content of the record, which decides the first dimension of its shape.
    public var content: Content
    /// The element type: U8 for pixels, F16 or F32 for latents.
    public var type: ElementType
    /// The channels C of a picture or latent.
    public var channels: Int
    /// The side R of a picture or latent.
    public var side: Int
    /// Whether there is a second record of each picture, for its mirror image.
    public var hasMirrored: Bool

    /// Creates the layout of records with C channels and side R.
    public init(content: Content, type: ElementType, channels: Int, side: Int, hasMirrored: Bool = false) {
        self.content = content
        self.type = type
        self.channels = channels
        self.side = side
        self.hasMirrored = hasMirrored
    }

    /// The shape of one record.
    public var shape: [Int] { [content == .meanAndDeviation ? 2 * channels : channels, side, side] }
    /// The number of elements of one picture or latent: C * R * R.
    public var elementsPerSample: Int { channels * side * side }
    /// The number of elements of one record.
    public var elementCount: Int { shape.reduce(1, *) }
    /// The number of bytes of one record.
    public var byteCount: Int { elementCount * type.byteCount }

    /// Whether the values are consistent, for layouts that come from a file.
    var isPossible: Bool {
        let types: [ElementType] = content == .pixels ? [.U8] : [.F16, .F32]
        return types.contains(type) && (1...1 << 12).contains(channels) && (1...1 << 14).contains(side)
            && (content != .pixels || channels == 3 && !hasMirrored)
    }
}

/// The origin and normalisation of latents: a diffusion network sees x0 = (z - shift) * scale.
public struct LatentEncoding: Codable, Equatable, Sendable {
    /// The autoencoder's name.
    public var autoencoder: String
    /// A checksum of the weights that make its latents; nil if they are not known.
    public var weights: String?
    /// The precision of its matrix products; nil for latents that were not made by this program.
    public var precision: Precision?
    /// The shift of each channel. Empty until a store is complete if its own statistics decide.
    public var shift: [Double]
    /// The scale of each channel, under the same conditions.
    public var scale: [Double]

    /// Creates the encoding of an autoencoder, with a shift and a scale for each channel or none.
    public init(
        autoencoder: String, weights: String? = nil, precision: Precision? = nil, shift: [Double], scale: [Double]
    ) {
        self.autoencoder = autoencoder
        self.weights = weights
        self.precision = precision
        self.shift = shift
        self.scale = scale
    }

    /// An identity that distinguishes its latents from those of other autoencoders: the name, with the weights'
    /// checksum if known.
    public var identity: String { weights.map { "\(autoencoder) (weights \($0))" } ?? autoencoder }
}

/// Sums over the elements of each channel, from which mean and standard deviation follow.
public struct ChannelSums: Codable, Equatable, Sendable {
    /// The number of elements added for each channel.
    public private(set) var count = 0
    private var sums: [Double]
    private var squares: [Double]

    /// Creates empty sums.
    public init(channels: Int) {
        sums = [Double](repeating: 0, count: channels)
        squares = sums
    }

    /// Whether they can be sums over records of a layout, for sums that come from a file.
    func areOf(_ layout: RecordLayout) -> Bool {
        sums.count == layout.channels && squares.count == layout.channels && (0...1 << 50).contains(count)
    }

    /// Adds a record of means and possibly deviations; the squares added are the expected squares of sampled latents.
    mutating func add(_ record: UnsafeBufferPointer<Float>, layout: RecordLayout) {
        let plane = layout.side * layout.side
        for channel in 0..<layout.channels {
            var (sum, square) = (0.0, 0.0)
            for place in channel * plane..<(channel + 1) * plane {
                let mean = Double(record[place])
                sum += mean
                square += mean * mean
                if layout.content == .meanAndDeviation {
                    let deviation = Double(record[layout.elementsPerSample + place])
                    square += deviation * deviation
                }
            }
            sums[channel] += sum
            squares[channel] += square
        }
        count += plane
    }

    mutating func add(_ other: ChannelSums) {
        count += other.count
        for channel in sums.indices {
            sums[channel] += other.sums[channel]
            squares[channel] += other.squares[channel]
        }
    }

    /// The statistics of everything added so far.
    public var statistics: ChannelStatistics {
        let means = sums.map { $0 / Double(max(1, count)) }
        let deviations = zip(squares, means).map { max(0, $0 / Double(max(1, count)) - $1 * $1).squareRoot() }
        return ChannelStatistics(mean: means, deviation: deviations)
    }
}

/// Mean and standard deviation of each channel over a data set: of sampled latents, before `LatentEncoding`'s shift and
/// scale, or of pixels in [-1, 1].
public struct ChannelStatistics: Codable, Equatable, Sendable {
    /// The mean of each channel.
    public var mean: [Double]
    /// The standard deviation of each channel, 0 or more.
    public var deviation: [Double]
}
