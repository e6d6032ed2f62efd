// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting

/// Proxies that cut each connection after a number of bytes that comes from a seed, in the one direction or the other.
package final class RandomCuts: Sendable {
    package struct Statistics: Sendable {
        package var cutsToBroker = 0
        package var cutsToClient = 0

        package var cuts: Int { cutsToBroker + cutsToClient }
    }

    private let proxies: [TCPProxy]
    private let seed: UInt64

    /// Starts a proxy before each of these ports of 127.0.0.1. It cuts nothing yet.
    package init(before ports: [Int], seed: UInt64) throws {
        proxies = try ports.map { try TCPProxy(to: $0) }
        self.seed = seed
    }

    /// The ports of the proxies, in the order of those behind them.
    package var ports: [Int] { proxies.map(\.port) }

    package var statistics: Statistics {
        proxies.reduce(into: Statistics()) { sum, proxy in
            sum.cutsToBroker += proxy.cuts(.toBroker)
            sum.cutsToClient += proxy.cuts(.toClient)
        }
    }

    /// Number of connections accepted so far.
    package var connections: Int { proxies.reduce(0) { $0 + $1.connections } }

    /// Resets all open connections, and cuts those that follow.
    package func begin() {
        for (number, proxy) in proxies.enumerated() {
            proxy.setPlan { [seed] connection in
                var numbers = JitterGenerator(seed: seed &+ UInt64(number) << 32 &+ UInt64(connection))
                return TCPProxy.Plan(cut: Self.cut(&numbers))
            }
            proxy.end(.reset)
        }
    }

    /// Leaves the connections from now on alone.
    package func pause() { for proxy in proxies { proxy.setPlan(TCPProxy.Plan()) } }

    /// Resets all open connections, and leaves those that follow alone.
    package func finish() {
        pause()
        for proxy in proxies { proxy.end(.reset) }
    }

    package func stop() { for proxy in proxies { proxy.stop() } }

    /// Draws the limit evenly over decades: within the first ten bytes as often as between 10 and 100, 10,000 and
    /// 100,000 and so on. Some connections thus end in the TLS handshake, and some after thousands of packets.
    private static func cut(_ numbers: inout JitterGenerator) -> TCPProxy.Cut {
        let decade = Int.random(in: 0...5, using: &numbers)
        let low = (0..<decade).reduce(1) { product, _ in product * 10 }
        return TCPProxy.Cut(
            Bool.random(using: &numbers) ? .toBroker : .toClient,
            // The first decades are less than a CONNECT, and rare.
            after: Int.random(in: low..<min(low * 10, 300_000), using: &numbers)
                + (decade < 3 && Int.random(in: 0..<4, using: &numbers) > 0 ? 2_500 : 0),
            Bool.random(using: &numbers) ? .close : .reset,
            lag: .milliseconds(Bool.random(using: &numbers) ? 0 : Int.random(in: 1...60, using: &numbers)))
    }
}
