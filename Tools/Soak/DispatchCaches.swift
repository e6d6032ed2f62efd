// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Synchronization

/// Memory that libdispatch caches, independently of the library.
enum DispatchCaches {
    /// Cache size of a thread of the pool: up to 1,024 freed continuations of at most 128 bytes.
    static let bytesPerThread = 1_024 * 128

    /// Fills the caches. Otherwise they fill over some thousand connections, which would look like a leak.
    static func fill() async {
        await withCheckedContinuation { done in
            // Not on a thread of the pool, whose allocations come from its own cache.
            Thread.detachNewThread {
                let group = DispatchGroup()
                for _ in 0..<20 {
                    for _ in 0..<5_000 { DispatchQueue.global().async(group: group) {} }
                    group.wait()
                }
                done.resume()
            }
        }
    }
}
