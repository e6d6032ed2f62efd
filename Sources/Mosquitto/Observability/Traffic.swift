// SPDX-License-Identifier: Apache-2.0

/// Bytes on the wire, TLS included.
struct Traffic: Equatable {
    var sent = 0
    var received = 0
}
