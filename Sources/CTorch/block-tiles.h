// The tiles of block-product.cpp, which includes this file once for each instruction set, in a namespace of its own. There it has
// declared vectors of `lanes` words, masks of a row's last vector, the operations on them, and the size of a full tile.

/// The first row and column of a tile, and what it fetches ahead: a line in each step, so many bytes apart.
struct Place {
    int64_t row, column;
    Mask used;  // of a vector, if it is not whole
    const char *ahead;
    int64_t aheadBytes;
};

/// Where a tile reads in a step of k: rows 0, 3 and 6 of A, from which the others are reached without a register for each, a row
/// of B, and the line to fetch.
struct Cursor {
    const char *a[3], *b, *ahead;
};

/// Distances in bytes: of the rows of A, and of the places of two steps.
struct Strides {
    int64_t row, a, b, ahead;
};

/// A word of each row of A times a row of B.
template <class T, bool isOfColumns, bool isWhole, int rows, int vectors>
INLINE void step(Vector (&sums)[rows][vectors], Cursor &at, const Strides &strides, const Mask &used) {
    Vector right[vectors];
    UNROLLED for (int j = 0; j < vectors; j++) right[j] = load<isWhole>(at.b + j * lanes * wordBytes, used);
    UNROLLED for (int i = 0; i < rows; i++) {
        const Vector left = broadcast(isOfColumns ? at.a[0] + i * wordBytes : at.a[i / 3] + i % 3 * strides.row);
        UNROLLED for (int j = 0; j < vectors; j++) sums[i][j] = multiplyAdd<T>(left, right[j], sums[i][j]);
    }
    _mm_prefetch(at.ahead, _MM_HINT_T1);
    UNROLLED for (const char *&row : at.a) row += isOfColumns ? strides.a : wordBytes;
    at.b += strides.b, at.ahead += strides.ahead;
    // Nothing may be moved across the end of a step.
    asm volatile("" : "+r"(at.a[0]), "+r"(at.a[1]), "+r"(at.a[2]), "+r"(at.b) : : "memory");
}

template <class T, class Out, bool isOfColumns, bool isWhole, int rows, int vectors>
[[gnu::noinline]] void tile(const BlockProduct<T, Out> &product, const Place &place) {
    const Strides strides{product.a.row * (int64_t)sizeof(T), product.a.step * (int64_t)sizeof(T), product.strideB * wordBytes,
                          place.aheadBytes};
    const char *const a = reinterpret_cast<const char *>(product.a.data) + place.row * strides.row;
    Cursor at{{a, a + 3 * strides.row, a + 6 * strides.row},
              reinterpret_cast<const char *>(product.b) + place.column * wordBytes, place.ahead};
    Vector sums[rows][vectors] = {};
    int64_t left = product.k / pairing<T>;
    NOT_UNROLLED for (; left >= 4; left -= 4)
        UNROLLED for (int i = 0; i < 4; i++) step<T, isOfColumns, isWhole>(sums, at, strides, place.used);
    NOT_UNROLLED for (; left > 0; left--) step<T, isOfColumns, isWhole>(sums, at, strides, place.used);

    Out *const c = product.c + place.row * product.strideC + place.column;
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int j = 0; j < vectors; j++) {
            if (product.addend) {
                const float *addend = product.addend + (place.row + i) * product.strideAddend + place.column + j * lanes;
                sums[i][j] += load<isWhole>(addend, place.used);
            }
            store<isWhole>(c + i * product.strideC + j * lanes, place.used, sums[i][j]);
        }
}

/// Computes as many rows as a tile has from `place.row` on; returns their number.
template <class T, class Out, bool isOfColumns, bool isWhole, int vectors>
int64_t someRows(const BlockProduct<T, Out> &product, const Place &place) {
    const int64_t rows = product.m - place.row;
    if (rows >= tileRows) return tile<T, Out, isOfColumns, isWhole, tileRows, vectors>(product, place), tileRows;
    if (rows >= 4) return tile<T, Out, isOfColumns, isWhole, 4, vectors>(product, place), 4;
    if (rows >= 2) return tile<T, Out, isOfColumns, isWhole, 2, vectors>(product, place), 2;
    return tile<T, Out, isOfColumns, isWhole, 1, vectors>(product, place), 1;
}

template <class T, class Out, bool isOfColumns>
int64_t someRows(const BlockProduct<T, Out> &product, const Place &place, int64_t vectors) {
    if constexpr (tileVectors == 3)
        if (vectors == 3) return someRows<T, Out, isOfColumns, true, 3>(product, place);
    if (vectors == 2) return someRows<T, Out, isOfColumns, true, 2>(product, place);
    if (vectors == 1) return someRows<T, Out, isOfColumns, true, 1>(product, place);
    return someRows<T, Out, isOfColumns, false, 1>(product, place);
}

template <class T, class Out> void multiply(const BlockProduct<T, Out> &product) {
    const bool isOfColumns = product.a.row == pairing<T>;
    Fetching fetching(product);
    /// `vectors` is 0 for a part of one.
    auto someColumns = [&](int64_t vector, int64_t vectors, const Mask &used) {
        Place place{0, vector * lanes, used, nullptr, 0};
        while (place.row < product.m) {
            fetching.next(place.ahead, place.aheadBytes);
            place.row += isOfColumns ? someRows<T, Out, true>(product, place, vectors)
                                     : someRows<T, Out, false>(product, place, vectors);
        }
    };
    // Parts of about equal width, since a narrow tile waits for loads.
    const int64_t vectors = product.n / lanes, parts = (vectors + tileVectors - 1) / tileVectors, excess = product.n % lanes;
    for (int64_t part = 0; part < parts; part++) {
        const int64_t first = vectors * part / parts, end = vectors * (part + 1) / parts;
        someColumns(first, end - first, firstLanes(lanes));
    }
    if (excess) someColumns(vectors, 0, firstLanes(excess));
}
