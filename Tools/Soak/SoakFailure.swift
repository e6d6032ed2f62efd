// SPDX-License-Identifier: Apache-2.0

/// The reason for a failed measurement, in a sentence.
struct SoakFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
