// SPDX-License-Identifier: Apache-2.0

import Dispatch

#if os(Linux)
import Glibc

/// Ends the brokers when a signal ends the process.
package struct EndingSignals {
    private let sources: [any DispatchSourceSignal]

    package init(_ killBrokers: @escaping @Sendable () -> Void) {
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                killBrokers()
                // Not exit(3), whose handlers would free OpenSSL's tables while the event loop uses them.
                _exit(128 + number)
            }
            source.resume()
            return source
        }
    }
}
#endif
