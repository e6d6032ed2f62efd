import Dispatch
import Foundation
import Synchronization

/// What libdispatch keeps, and the library has no part in.
enum DispatchCaches {
    /// Each thread of the pool keeps up to 1,024 continuations that it has freed, of at most 128 bytes.
    static let bytesPerThread = 1_024 * 128

    /// Fills them. By themselves they fill over some thousand connections, which would pass for a leak.
    static func fill() async {
        await withCheckedContinuation { done in
            // Not from the pool: what a thread of it allocates comes from its own cache.
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
