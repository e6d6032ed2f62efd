// SPDX-License-Identifier: Apache-2.0

import CMosquittoShim

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Starts a detached POSIX thread on which SIGPIPE is blocked: on Linux a write to a closed socket is then an error,
/// not a signal, and the process's own disposition of SIGPIPE is unchanged. (Darwin: see ``makeOwn(_:)``.) Returns
/// whether the system could create the thread.
package func startThread(name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
    final class Box {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
    let box = Unmanaged.passRetained(Box(name: name, body: body))
    #if canImport(Darwin)
    var thread: pthread_t?
    #else
    var thread = pthread_t()
    #endif
    let rc = pthread_create(
        &thread, nil,
        { context in
            // Optional in glibc's header, and not in all of Darwin's.
            guard let context = context as UnsafeMutableRawPointer? else { return nil }
            let box = Unmanaged<Box>.fromOpaque(context).takeRetainedValue()
            cmq_set_thread_name(box.name)
            var signals = sigset_t()
            sigemptyset(&signals)
            sigaddset(&signals, SIGPIPE)
            pthread_sigmask(SIG_BLOCK, &signals, nil)
            box.body()
            return nil
        }, box.toOpaque())
    if rc == 0 {
        #if canImport(Darwin)
        if let thread { pthread_detach(thread) }
        #else
        pthread_detach(thread)
        #endif
    } else {
        box.release()
    }
    return rc == 0
}
