// SPDX-License-Identifier: Apache-2.0

/// A count of something, by the library in which it happens.
struct Cost {
    enum Owner: CaseIterable {
        /// This library, the program that uses it, and Swift's runtime on their behalf.
        case ours
        case libmosquitto
        case openSSL
        /// The C library, whichever library called it.
        case libc

        init(object: Substring) {
            let name = object.split(separator: "/").last ?? ""
            func begins(with prefixes: String...) -> Bool { prefixes.contains(where: name.hasPrefix) }
            if begins(with: "libmosquitto.") {
                self = .libmosquitto
            } else if begins(with: "libcrypto.", "libssl.") {
                self = .openSSL
            } else if begins(with: "libc.", "ld-linux", "???") {
                self = .libc
            } else {
                self = .ours
            }
        }
    }

    private var counts: [Owner: Double] = [:]

    subscript(owner: Owner) -> Double { counts[owner] ?? 0 }

    var all: Double { counts.values.reduce(0, +) }

    mutating func add(_ count: Double, by object: Substring) { counts[Owner(object: object), default: 0] += count }

    func difference(from other: Cost, dividedBy divisor: Double) -> Cost {
        var result = Cost()
        for owner in Owner.allCases { result.counts[owner] = (self[owner] - other[owner]) / divisor }
        return result
    }
}
