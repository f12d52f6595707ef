import Formats

/// Encoded pictures with random access, wherever they come from.
public protocol LatentSource: Sendable {
    /// The path of the folder.
    var location: String { get }
    /// The names and labels, in the source's own order.
    var entries: [ImageEntry] { get }
    /// The classes, indexed by label.
    var classNames: [String] { get }
    /// The layout of a record: F32, `mean` or `meanAndDeviation`.
    var layout: RecordLayout { get }
    /// The shift and scale that normalise a latent; if empty, the data set's own statistics are used.
    var encoding: LatentEncoding { get }
    /// Writes the record of a picture or of its mirror image; throws a `FileError`. Safe to call from several threads.
    func copyRecord(_ index: Int, mirrored: Bool, into record: UnsafeMutableBufferPointer<Float>) throws
}

/// Opens the latents of a folder in a third-party layout; nil if it holds none. Throws a `FileError`.
public func openLatents(path: String) throws -> (any LatentSource)? {
    if PublishedLatents.exists(in: path) { return try PublishedLatents(path: path) }
    return LightningLatents.exists(in: path) ? try LightningLatents(path: path) : nil
}

/// Turns a record into the input of a diffusion network.
public struct PosteriorSampler: Sendable {
    private let shift: [Float]
    private let scale: [Float]

    /// Creates a sampler for latents of one autoencoder; `encoding` has a shift and a scale for each channel.
    public init(_ encoding: LatentEncoding) {
        shift = encoding.shift.map { Float($0) }
        scale = encoding.scale.map { Float($0) }
    }

    /// Computes x0 = (mean + deviation * noise - shift) * scale in place: `sample` holds the noise before, and x0 [C,
    /// R, R] afterwards.
    ///
    /// Without deviations the noise has no effect.
    public func draw(
        from record: UnsafeBufferPointer<Float>, layout: RecordLayout, into sample: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(record.count == layout.elementCount && sample.count == layout.elementsPerSample)
        let plane = layout.side * layout.side
        guard let mean = record.baseAddress, let target = sample.baseAddress else { return }
        for channel in 0..<layout.channels {
            let (shift, scale) = (shift[channel], scale[channel])
            let places = channel * plane..<(channel + 1) * plane
            if layout.content == .meanAndDeviation {
                let deviation = mean + layout.elementsPerSample
                for place in places { target[place] = (mean[place] + deviation[place] * target[place] - shift) * scale }
            } else {
                for place in places { target[place] = (mean[place] - shift) * scale }
            }
        }
    }
}
