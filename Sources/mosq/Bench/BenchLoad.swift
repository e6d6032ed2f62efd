// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// The messages that the clients of `mosq bench pub` publish, and their rate.
struct BenchLoad: Sendable {
    let topic: MQTTTopic
    let qos: MQTTQoS
    let size: Int
    let rate: Double?

    /// Keeps `window` publishes of each client in progress while messages are left.
    func publish(_ clients: [MQTTClient], _ meter: BenchMeter, window: Int) async {
        let pace = BenchPace(rate: rate)
        let workers = min(window, (meter.goal + clients.count - 1) / clients.count)
        await withTaskGroup { group in
            for client in clients {
                for _ in 0..<workers { group.addTask { await publish(client, meter, pace) } }
            }
        }
    }

    /// Publishes one message after the other.
    private func publish(_ client: MQTTClient, _ meter: BenchMeter, _ pace: BenchPace) async {
        while let number = meter.takeNumber() {
            guard let begin = try? await pace.wait(for: number) else { return }
            do throws(MQTTError) {
                try await client.publish(BenchStamp.payload(size: size), to: topic, qos: qos)
                meter.count(bytes: size, latency: .now - begin)
            } catch {
                if meter.isStopped { return }
                meter.fail(error)
                // After any other error the client has ended.
                if error.code != .operationRefused { return }
            }
        }
    }

    /// Each client queues its share and waits for the last message: the broker acknowledges messages in order (MQTT
    /// 5.0, section 4.6), and therefore has all the others by then.
    func enqueue(_ clients: [MQTTClient], _ meter: BenchMeter) async {
        let pace = BenchPace(rate: rate)
        let (share, rest) = meter.goal.quotientAndRemainder(dividingBy: clients.count)
        await withTaskGroup { group in
            for (index, client) in clients.enumerated() {
                let numbers = stride(from: index, to: meter.goal, by: clients.count)
                let count = share + (index < rest ? 1 : 0)
                group.addTask { await enqueue(client, numbers, count: count, meter, pace) }
            }
        }
    }

    private func enqueue(
        _ client: MQTTClient, _ numbers: StrideTo<Int>, count: Int, _ meter: BenchMeter, _ pace: BenchPace
    ) async {
        var queued = 0
        do throws(MQTTError) {
            for number in numbers {
                if meter.isStopped { return }
                guard (try? await pace.wait(for: number)) != nil else { return }
                queued += 1
                if queued < count {
                    do throws(MQTTError) {
                        try client.enqueue(BenchStamp.payload(size: size), to: topic, qos: qos)
                        continue
                    } catch {
                        // Memory is bounded: this call waits for room.
                        guard error.code == .queueFull else { throw error }
                    }
                }
                try await client.publish(BenchStamp.payload(size: size), to: topic, qos: qos)
            }
            meter.count(messages: count, bytes: count * size)
        } catch {
            if !meter.isStopped { meter.fail(error) }
        }
    }
}
