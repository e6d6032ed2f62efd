// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

/// The scripted broker as mosquitto's own clients see it.
@Suite(.turn(.tools)) struct RealClientTests {
    @Test(arguments: ["mqttv311", "mqttv5"])
    func `Every QoS goes from mosquitto_pub to mosquitto_sub over TLS`(version: String) async throws {
        let authority = try TestCertificateAuthority()
        let directory = try TemporaryDirectory()
        let authorityPath = try directory.write(authority.certificatePEM, to: "ca.pem")
        let broker = try await ScriptedBroker.start(tls: authority.serverIdentity())
        let options = ["-p", "\(broker.port)", "-V", version, "--cafile", authorityPath]
        let subscriber = try RunningCommand(
            "/usr/bin/mosquitto_sub",
            ["-h", "localhost", "-W", "20", "-C", "3", "-q", "2", "-t", "a/+/c", "-F", "%t %q %p"] + options
        )
        #expect(await broker.waitUntil { $0.receivedPackets.contains { $0.type == .subscribe } })
        for qos in 0...2 {
            let published = try await RunningCommand(
                "/usr/bin/mosquitto_pub",
                ["-h", "localhost", "-q", "\(qos)", "-t", "a/\(qos)/c", "-m", "message \(qos)"] + options
            ).result()
            #expect(published.status == 0, "\(published.output)")
        }
        let result = try await subscriber.result()
        #expect(result.status == 0)
        #expect(result.lines == ["a/0/c 0 message 0", "a/1/c 1 message 1", "a/2/c 2 message 2"])
        #expect(broker.publishes.map(\.qos) == [0, 1, 2])
        #expect(await broker.waitUntil { $0.disconnects.count == 4 && $0.openConnections == 0 })
        #expect(broker.disconnects.allSatisfy { $0 == (version == "mqttv5" ? 0 : nil) })
        await broker.stop()
    }

    @Test(arguments: ["mqttv311", "mqttv5"])
    func `A persistent subscriber gets what came while it was away`(version: String) async throws {
        let broker = try await ScriptedBroker.start()
        let port = "\(broker.port)"
        let session = version == "mqttv5" ? ["-x", "60"] : []
        let options = ["-p", port, "-V", version, "-c", "-i", "away", "-q", "1", "-t", "t"] + session
        let subscribe = ["-h", "localhost", "-W", "20"] + options
        #expect(try await RunningCommand("/usr/bin/mosquitto_sub", subscribe + ["-E"]).result().status == 0)
        #expect(await broker.waitUntil { $0.openConnections == 0 })
        for text in ["one", "two"] {
            #expect(try await publish("-p", port, "-V", version, "-q", "1", "-t", "t", "-m", text).status == 0)
        }
        let result = try await RunningCommand("/usr/bin/mosquitto_sub", subscribe + ["-C", "2"]).result()
        #expect(result.lines == ["one", "two"])
        await broker.stop()
    }

    @Test func `Properties, retained messages and shared subscriptions are those of MQTT 5`() async throws {
        let broker = try await ScriptedBroker.start()
        let port = "\(broker.port)"
        let published = try await publish(
            "-p",
            port,
            "-V",
            "5",
            "-r",
            "-q",
            "1",
            "-t",
            "request",
            "-m",
            "body",
            "-D",
            "publish",
            "response-topic",
            "answer/here",
            "-D",
            "publish",
            "correlation-data",
            "c0ffee",
            "-D",
            "publish",
            "user-property",
            "key",
            "value"
        )
        #expect(published.status == 0, "\(published.output)")
        let result = try await subscribe(
            "-p",
            port,
            "-V",
            "5",
            "-C",
            "1",
            "-t",
            "request",
            "-F",
            "%r %R %D %P %p"
        ).result()
        #expect(result.lines == ["1 answer/here c0ffee key:value body"])

        let members = try (0..<2).map { index in
            try subscribe("-p", port, "-V", "5", "-i", "member\(index)", "-C", "1", "-q", "1", "-t", "$share/g/s/#")
        }
        #expect(await broker.waitUntil { $0.receivedPackets.filter { $0.type == .subscribe }.count == 3 })
        broker.publish(topic: "s/1", payload: "one", qos: 1)
        broker.publish(topic: "s/2", payload: "two", qos: 1)
        let received = try await [members[0].result().output, members[1].result().output]
        #expect(received.sorted() == ["one\n", "two\n"])
        await broker.stop()
    }

    @Test func `A client without a certificate is not let in, one with it is`() async throws {
        let authority = try TestCertificateAuthority()
        let directory = try TemporaryDirectory()
        let client = try authority.clientIdentity(commonName: "dev1")
        let broker = try await ScriptedBroker.start(
            tls: authority.serverIdentity(),
            clientAuthority: authority.certificatePEM
        )
        let arguments = [
            "-h", "localhost", "-p", "\(broker.port)", "-q", "1", "-t", "t", "-m", "x",
            "--cafile", try directory.write(authority.certificatePEM, to: "ca.pem"),
        ]
        let refused = try await RunningCommand("/usr/bin/mosquitto_pub", arguments).result()
        #expect(refused.status != 0)
        #expect(await broker.waitUntil { !$0.errors.isEmpty })
        #expect(broker.applicationBytesReceived == 0)
        let certificate = [
            "--cert", try directory.write(client.certificatePEM, to: "client.pem"),
            "--key", try directory.write(client.privateKeyPEM, to: "client.key"),
        ]
        let accepted = try await RunningCommand("/usr/bin/mosquitto_pub", arguments + certificate).result()
        #expect(accepted.status == 0, "\(accepted.output)")
        await broker.stop()
    }

    @Test func `Under TLS a script can end the handshake, and the identity can change`() async throws {
        let trusted = try TestCertificateAuthority()
        let directory = try TemporaryDirectory()
        let broker = try await ScriptedBroker.start(
            tls: TestCertificateAuthority().serverIdentity(),
            // Not .resetOnAccept: mosquitto_pub 2.0.11 then spins for its keep alive of 60 s.
            script: [.resetMidHandshake, .raw(Array("HTTP/1.1 400\r\n\r\n".utf8)), .serve]
        )
        let arguments = [
            "-h", "localhost", "-p", "\(broker.port)", "-q", "1", "-t", "t", "-m", "x",
            "--cafile", try directory.write(trusted.certificatePEM, to: "ca.pem"),
        ]
        for _ in 0..<3 {
            #expect(try await RunningCommand("/usr/bin/mosquitto_pub", arguments).result().status != 0)
        }
        #expect(broker.applicationBytesReceived == 0)
        #expect(broker.connects.isEmpty)
        try broker.replaceIdentity(trusted.serverIdentity())
        #expect(try await RunningCommand("/usr/bin/mosquitto_pub", arguments).result().status == 0)
        #expect(broker.publishes.map(\.text) == ["x"])
        await broker.stop()
    }
}
