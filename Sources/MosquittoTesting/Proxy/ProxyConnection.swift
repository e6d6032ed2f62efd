// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// A connection with its state. Only the proxy's thread may use it.
final class ProxyConnection {
    private enum Phase {
        case open
        /// The client's side is closed, and further bytes from the broker are discarded until this time.
        case draining(until: ContinuousClock.Instant)
        case ended
    }

    private let number: Int
    private let client: ProxySocket
    private let broker: ProxySocket
    private let controls: ProxyControls
    private let cut: TCPProxy.Cut?
    private var phase = Phase.open
    /// The directions, in the order of ``TCPProxy/Direction``.
    private var lanes: [ProxyLane]
    /// The time at which a connection that is cut ends.
    private var endsAt: ContinuousClock.Instant?
    private var endingAfterDelivery: TCPProxy.Ending?
    private var patience = Patience()
    private var roundTrips = 0
    private var isAnswering = true

    init(
        _ number: Int, client: ProxySocket, broker: ProxySocket, plan: TCPProxy.Plan, _ controls: ProxyControls
    ) {
        (self.number, self.client, self.broker, self.controls) = (number, client, broker, controls)
        cut = plan.cut
        lanes = [
            ProxyLane(.toClient, from: broker, to: client, plan: plan),
            ProxyLane(.toBroker, from: client, to: broker, plan: plan),
        ]
    }

    var hasEnded: Bool { if case .ended = phase { true } else { false } }

    /// The events to wait for.
    var events: [(Int32, Int32)] {
        switch phase {
        case .ended: return []
        case .draining: return [(broker.descriptor, POLLIN)]
        case .open:
            // A lane that waits for nothing is left out: poll(2) would report its hang-up again and again.
            return lanes.flatMap { lane in
                (lane.wantsRead ? [(lane.source.descriptor, POLLIN)] : [])
                    + (lane.wantsWrite ? [(lane.sink.descriptor, POLLOUT)] : [])
            }
        }
    }

    /// Milliseconds until the connection must be served without an event; `nil` for no limit.
    var timeout: Int32? {
        switch phase {
        case .ended: nil
        case .draining(let time): Self.milliseconds(until: time)
        case .open: (lanes.compactMap(\.timeout) + [endsAt.map(Self.milliseconds)].compactMap(\.self)).min()
        }
    }

    static func milliseconds(until time: ContinuousClock.Instant) -> Int32 {
        Int32(clamping: Int((max(.zero, time - .now) / .milliseconds(1)).rounded(.up)))
    }

    func obey(_ orders: ProxyControls.Orders) {
        guard case .open = phase else { return }
        for index in lanes.indices { lanes[index].valve = orders.valves[index] }
        if !orders.injected.isEmpty { lanes[0].inject(orders.injected) }
        if orders.isFinishing { lanes[0].finish() }
        switch orders.ending {
        case (let ending, false)?: end(ending)
        case (let ending, true)?: (endingAfterDelivery, patience) = (ending, Patience())
        case nil: break
        }
    }

    /// Forwards as many bytes as possible without blocking.
    func serve(_ buffer: UnsafeMutableRawBufferPointer) {
        switch phase {
        case .ended: return
        case .draining(let time): return drain(buffer, until: time)
        case .open: break
        }
        let isReadable = lanes.indices.map { lanes[$0].read(buffer) }
        countRoundTrips()
        if let answer = lanes[1].takeAnswer() { reject(answer) }
        // Counted before the client can have seen it.
        report()
        let isWritable = lanes.indices.map { lanes[$0].write() }
        report()
        if let cut, endsAt == nil, lanes[cut.direction.rawValue].isCut {
            controls.look { $0.cuts[cut.direction.rawValue] += 1 }
            endsAt = .now + cut.lag
        }
        if !isReadable[0] {
            end(.reset)
        } else if !isReadable[1] || isWritable.contains(false) {
            end(.close)
        } else if let endsAt, endsAt <= .now {
            end(cut?.ending ?? .close)
        } else if let endingAfterDelivery, patience.isOver(lanes[0]) {
            end(endingAfterDelivery)
        } else if lanes.allSatisfy(\.isOver) {
            abandon()
        }
    }

    /// Closes both sides at once.
    func abandon() {
        if case .open = phase { closeClient() }
        if !hasEnded { broker.close() }
        phase = .ended
    }

    /// Closes the client's side, and tells the broker that no more comes.
    ///
    /// The broker can go on writing. If it could not, mosquitto 2.0.11 would break a promise itself: where it fails to
    /// write a PUBREL again, it publishes the QoS 2 message again after the next CONNECT
    /// (`db__message_reconnect_reset_outgoing`).
    private func end(_ ending: TCPProxy.Ending) {
        guard case .open = phase else { return }
        if ending == .reset { client.setToReset() }
        closeClient()
        broker.finishWriting()
        phase = .draining(until: .now + .seconds(5))
    }

    private func closeClient() {
        for index in lanes.indices { lanes[index].discard() }
        client.close()
        controls.look { $0.open -= 1 }
    }

    private func drain(_ buffer: UnsafeMutableRawBufferPointer, until time: ContinuousClock.Instant) {
        switch broker.receive(into: buffer) {
        case .bytes, .wouldBlock: if time <= .now { abandon() }
        case .end, .failed: abandon()
        }
    }

    private func reject(_ answer: [UInt8]) {
        controls.look { $0.rejections += 1 }
        lanes[0].inject(answer)
        lanes[0].finish()
        endingAfterDelivery = .close
    }

    private func countRoundTrips() {
        if lanes[0].hasJustRead { isAnswering = true }
        guard lanes[1].hasJustRead, isAnswering else { return }
        isAnswering = false
        roundTrips += 1
    }

    private func report() {
        for index in lanes.indices { lanes[index].look() }
        controls.look { state in
            guard state.connections == number else { return }
            for index in lanes.indices { lanes[index].report(to: &state.counts[index]) }
            (state.roundTrips, state.hasFlipped) = (roundTrips, lanes[0].hasFlipped)
        }
    }

    /// Waits for the client's kernel to take what is under way.
    private struct Patience {
        private var acknowledged = -1
        private var since = ContinuousClock.now

        mutating func isOver(_ lane: ProxyLane) -> Bool {
            if lane.isDelivered { return true }
            if lane.acknowledged != acknowledged { (acknowledged, since) = (lane.acknowledged, .now) }
            return ContinuousClock.now - since > .milliseconds(300)
        }
    }
}
