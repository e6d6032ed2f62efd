@testable import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The thread of a ``TamperingProxy``.
struct ProxyRelay: Sendable {
    let listener: ProxySocket
    let broker: MQTTEndpoint
    let kernelBuffer: Int32?
    let controls: ProxyControls

    func run() {
        while !controls.look({ $0.isStopping }) {
            wait([(listener.descriptor, POLLIN)], timeout: -1)
            if controls.look({ $0.isStopping }) { break }
            guard poll(listener), let client = listener.accept() else { continue }
            if let broker = try? ProxySocket(connectingTo: broker, kernelBuffer: kernelBuffer) {
                serve(client, broker)
                broker.close()
            }
            client.close()
            controls.look { $0.isConnected = false }
        }
        listener.close()
    }

    private func poll(_ socket: ProxySocket) -> Bool {
        var descriptor = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        return systemPoll(&descriptor, 1, 0) == 1
    }

    private func wait(_ descriptors: [(Int32, Int32)], timeout: Int32) {
        var list = descriptors.map { pollfd(fd: $0.0, events: Int16($0.1), revents: 0) }
        list.append(pollfd(fd: controls.wakeUp, events: Int16(POLLIN), revents: 0))
        _ = systemPoll(&list, nfds_t(list.count), timeout)
        controls.heard()
    }

    private func serve(_ client: ProxySocket, _ broker: ProxySocket) {
        let plan = controls.look { state in
            state.connections += 1
            state.isConnected = true
            state.counts = [TamperingProxy.Count(), TamperingProxy.Count()]
            state.hasFlipped = false
            state.isResetting = false
            return state.plan
        }
        let isStepping = plan.pieces != .asTheyCome && client.isUnix
        var lanes = [
            ProxyLane(.toClient, from: broker, to: client, plan: plan, isStepping: isStepping),
            ProxyLane(.toBroker, from: client, to: broker, plan: plan, isStepping: false),
        ]
        var patience = Patience()
        while true {
            let (isStopping, isResetting) = obey(&lanes)
            if isStopping { return }
            var isAlive = true
            for index in lanes.indices { isAlive = lanes[index].read() && isAlive }
            // Bytes are counted before the client can see them.
            report(&lanes)
            for index in lanes.indices { isAlive = lanes[index].write() && isAlive }
            report(&lanes)
            if isResetting, patience.isOver(lanes[0]) { return client.setToReset() }
            if !isAlive || lanes.allSatisfy(\.isOver) { return }
            let mayBlock = lanes.allSatisfy { $0.isIdle }
            let pause: Int32 = lanes.contains(where: \.isThrottled) ? 10 : -1
            wait(events(lanes), timeout: lanes.contains(where: \.isBusy) ? 0 : mayBlock ? pause : 1)
        }
    }

    /// Waits for the client's kernel to accept the bytes in flight.
    private struct Patience {
        private var acknowledged = -1
        private var since = ContinuousClock.now

        mutating func isOver(_ lane: ProxyLane) -> Bool {
            if lane.isDelivered { return true }
            if lane.acknowledged != acknowledged { (acknowledged, since) = (lane.acknowledged, .now) }
            return ContinuousClock.now - since > .milliseconds(300)
        }
    }

    /// Reads the orders of the test.
    private func obey(_ lanes: inout [ProxyLane]) -> (isStopping: Bool, isResetting: Bool) {
        let (order, injected) = controls.look { state in
            defer {
                state.injected = []
                state.isFinishing = false
            }
            return (state, state.injected)
        }
        for flow in Flow.allCases { lanes[flow.rawValue].valve = order.valves[flow.rawValue] }
        if !injected.isEmpty { lanes[0].inject(injected) }
        if order.isFinishing { lanes[0].finish() }
        return (order.isStopping, order.isResetting)
    }

    private func report(_ lanes: inout [ProxyLane]) {
        controls.look { state in
            for index in lanes.indices { lanes[index].report(to: &state.counts[index]) }
            state.hasFlipped = lanes[0].hasFlipped
        }
    }

    private func events(_ lanes: [ProxyLane]) -> [(Int32, Int32)] {
        // Omits a socket without requested events: poll(2) would report its hang-up repeatedly.
        lanes.flatMap { lane in
            (lane.wantsRead ? [(lane.source.descriptor, POLLIN)] : [])
                + (lane.wantsWrite ? [(lane.sink.descriptor, POLLOUT)] : [])
        }
    }
}

private func systemPoll(_ list: UnsafeMutablePointer<pollfd>, _ count: nfds_t, _ timeout: Int32) -> Int32 {
    poll(list, count, timeout)
}
