// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// A workload to measure.
enum Work: String, CaseIterable, ExpressibleByArgument {
    /// Publishes queued without waiting, timed until a last message of QoS 1 is acknowledged.
    case publishQoS0 = "publish-qos0"
    /// Publishes from many tasks, each of which awaits its publish.
    case publishQoS0Awaited = "publish-qos0-awaited"
    /// Publishes queued without waiting, a window of them in flight, timed until the last PUBACK.
    case publishQoS1 = "publish-qos1"
    /// Publishes from as many tasks as the window is wide, each of which awaits its PUBACK.
    case publishQoS1Awaited = "publish-qos1-awaited"
    /// Received messages, timed from the first to the last.
    case receiveQoS0 = "receive-qos0"
    case receiveQoS1 = "receive-qos1"
    /// Single publishes, each timed from the call to the PUBACK.
    case latencyQoS1 = "latency-qos1"
    /// The same, from a task that runs on the client's event loop.
    case latencyQoS1OnLoop = "latency-qos1-on-loop"
}
