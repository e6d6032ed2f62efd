// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("mosq doctor", .turn(.command), .timeLimit(.minutes(2)))
struct DoctorTests {
    @Test(arguments: ["mqttv311", "mqttv5"])
    func `finds all well with a real broker over TLS`(version: String) async throws {
        let authority = try TestCertificateAuthority(commonName: "the authority")
        let folder = try TemporaryDirectory()
        let cafile = try folder.write(authority.certificatePEM, to: "ca.pem")
        let mosquitto = try await LocalMosquitto.start(tls: try authority.serverIdentity())
        let run = try await DoctorRun(["-p", "\(mosquitto.port)", "--cafile", cafile, "-V", version])
        #expect(run.status == 0)
        #expect(run.errors == "")
        #expect(run.report["ok"] == true)
        #expect(run.report["endpoint"]?.string == "localhost:\(mosquitto.port)")
        for step in ["names", "tcp", "tls", "token", "connack", "loopback"] {
            #expect(run.status(step) == "ok", "\(step)")
        }
        #expect(run.report["names"]?["addresses"]?[0] != nil)
        #expect(run.report["tcp"]?["addresses"]?[0]?["seconds"]?.number ?? -1 >= 0)
        let tls = try #require(run.report["tls"])
        #expect(tls["version"] == "TLSv1.3")
        #expect(tls["chain"]?[0]?["subject"] == "CN=localhost")
        #expect(tls["chain"]?[0]?["issuer"] == "CN=the authority")
        #expect(tls["chain"]?[0]?["subjectAlternativeNames"]?[0] == "DNS:localhost")
        #expect(run.report["connack"]?["code"] == 0)
        #expect((run.report["connack"]?["limits"] != nil) == (version == "mqttv5"))
        #expect(run.report["loopback"]?["qos"] == 1)
    }

    @Test func `a person reads a mark and a line per step, without colour in a file`() async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq("doctor", "-h", "127.0.0.1", "-p", "\(broker.port)")
        #expect(result.status == 0)
        let lines = result.output.split(separator: "\n")
        #expect(lines.first == "mosq doctor: 127.0.0.1:\(broker.port)")
        #expect(lines.contains("✓ names     127.0.0.1 is an address"))
        #expect(lines.contains("- tls       not used"))
        #expect(lines.contains { $0.hasPrefix("✓ connack   MQTT 5.0, accepted after ") })
        #expect(lines.last == "All is well with 127.0.0.1:\(broker.port).")
        #expect(!result.output.contains("\u{1B}"))
        await broker.stop()
    }

    @Test func `a proxy is examined in the broker's place, and then the broker through it`() async throws {
        let broker = try await ScriptedBroker.start()
        let proxy = try await ScriptedHTTPProxy.start()
        let arguments = ["-h", "broker.invalid", "-p", "\(broker.port)", "--proxy", "http://127.0.0.1:\(proxy.port)"]
        let run = try await DoctorRun(arguments)
        #expect(run.status == 0)
        for step in ["names", "tcp", "proxy", "token", "connack", "loopback"] {
            #expect(run.status(step) == "ok", "\(step)")
        }
        #expect(run.report["tcp"]?["port"]?.number == Double(proxy.port))
        #expect(run.report["proxy"]?["kind"] == "http")
        #expect(proxy.requests.allSatisfy { $0.target == "broker.invalid:\(broker.port)" })
        let text = try await MosqProcess(["doctor"] + arguments).result()
        #expect(text.output.contains("\n✓ proxy     HTTP at 127.0.0.1:\(proxy.port)\n"))
        await proxy.stop()
        await broker.stop()
    }

    @Test(arguments: [
        (ScriptedHTTPProxy.Script.answer(status: 407), "proxyAuthentication"), (.answer(status: 403), "proxyForbids"),
        (.answer(status: 401), "proxyAuthentication"),
        (.answer(status: 502), "proxyFails"), (.answer(status: 500), "proxyFails"), (.close, "proxyFails"),
        (.answer(status: 404), "notProxy"), (.answer(status: 302), "notProxy"),
        (.raw(Array("SSH-2.0\r\n".utf8), close: true), "notProxy"),
    ])
    func `what a proxy answers has a cause`(script: ScriptedHTTPProxy.Script, cause: String) async throws {
        let proxy = try await ScriptedHTTPProxy.start(script: [script])
        let run = try await DoctorRun([
            "-h", "b", "-p", "8883", "--tls-use-os-certs", "--proxy", "http://me:hidden@127.0.0.1:\(proxy.port)",
        ])
        #expect(run.status == 1)
        #expect(run.status("proxy") == "failed" && run.cause("proxy") == cause, "\(run.output)")
        for step in ["tls", "connack", "loopback"] { #expect(run.status(step) == "skipped", "\(step)") }
        #expect(!run.output.contains("hidden"))
        await proxy.stop()
    }

    @Test func `a proxy with TLS is trusted with an authority of its own`() async throws {
        let authority = try TestCertificateAuthority()
        let folder = try TemporaryDirectory()
        let cafile = try folder.write(authority.certificatePEM, to: "proxy.pem")
        let broker = try await ScriptedBroker.start()
        let proxy = try await ScriptedHTTPProxy.start(tls: try authority.serverIdentity())
        let arguments = ["-h", "b.invalid", "-p", "\(broker.port)", "--proxy", "https://localhost:\(proxy.port)"]
        let run = try await DoctorRun(arguments + ["--proxy-cafile", cafile])
        #expect(run.status == 0, "\(run.output)")
        #expect(run.report["proxy"]?["kind"] == "https")
        let untrusted = try await DoctorRun(arguments)
        #expect(untrusted.status == 1)
        #expect(untrusted.cause("proxy") == "proxyCertificate", "\(untrusted.output)")
        #expect(untrusted.report["proxy"]?["failedCheck"]?["code"]?.number != nil)
        #expect(untrusted.words("proxy").contains("--proxy-cafile"))
        let plain = try await ScriptedBroker.start(script: [.raw(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))])
        let wrong = try await DoctorRun(["-h", "b.invalid", "--proxy", "https://localhost:\(plain.port)"])
        #expect(wrong.cause("proxy") == "notProxy", "\(wrong.output)")
        let missing = try await DoctorRun(arguments + ["--proxy-cafile", "/nonexistent"])
        #expect(missing.cause("proxy") == "tlsConfiguration", "\(missing.output)")
        for server in [broker, plain] { await server.stop() }
        await proxy.stop()
    }

    @Test func `a WebSocket has a step of its own, with the status of the answer`() async throws {
        let broker = try await ScriptedBroker.start(webSocket: .init())
        let arguments = ["-p", "\(broker.port)", "--ws", "--ws-path", "/x?token=hidden-token"]
        let run = try await DoctorRun(arguments)
        #expect(run.status == 0, "\(run.output)")
        for step in ["upgrade", "connack"] { #expect(run.status(step) == "ok", "\(step)") }
        #expect(run.report["upgrade"]?["httpStatus"] == 101)
        #expect(run.report["upgrade"]?["path"] == "/x")
        broker.webSocket = .init(upgrades: [
            .refuse(
                status: 401, reason: "Unauthorized",
                headers: [
                    "WWW-Authenticate": #"Bearer error="invalid_token", error_description="expired: hidden-token""#,
                    "Server": "nginx/1.22", "Retry-After": "7",
                ], body: "who are you?")
        ])
        let refused = try await DoctorRun(arguments)
        #expect(refused.status == 1)
        #expect(refused.status("upgrade") == "failed", "\(refused.output)")
        #expect(refused.cause("upgrade") == "upgradeRefused")
        #expect(refused.status("connack") == "skipped")
        let facts = try #require(refused.report["upgrade"])
        #expect(facts["httpStatus"] == 401)
        #expect(facts["server"] == "nginx/1.22")
        #expect(facts["retryAfter"] == 7)
        #expect(facts["body"] == "who are you?")
        #expect(facts["challenge"]?.string?.contains("invalid_token") == true)
        #expect(!refused.output.contains("hidden"))
        let text = try await MosqProcess(["doctor"] + arguments).result()
        #expect(text.output.contains("\n✗ upgrade   answered 401 at /x\n"), "\(text.output)")
        #expect(text.output.contains("server     nginx/1.22"))
        #expect(text.output.contains("fails at the step upgrade"))
        broker.webSocket = nil
        let closed = try await DoctorRun(arguments)
        #expect(closed.status("upgrade") == "failed", "\(closed.output)")
        await broker.stop()
    }

    @Test func `a proxy that is not there is not the broker`() async throws {
        let run = try await DoctorRun(["-h", "b", "--proxy", "http://127.0.0.1:\(try freePort())"])
        #expect(run.cause("tcp") == "refused")
        #expect(run.words("tcp").contains("--proxy"))
    }

    @Test func `each endpoint is examined, and one that fails is a failure of all`() async throws {
        let broker = try await ScriptedBroker.start()
        let closed = try freePort()
        let result = try await runMosq(
            "doctor", "--json", "-h", "127.0.0.1", "-p", "\(broker.port)", "--endpoint", "127.0.0.1:\(closed)")
        #expect(result.status == 1)
        let report = try #require(JSON(result.output))
        #expect(report["ok"] == false)
        #expect(report["connections"]?[0]?["ok"] == true)
        #expect(report["connections"]?[1]?["ok"] == false)
        await broker.stop()
    }

    @Test func `quiet, it says nothing but its exit status`() async throws {
        let result = try await runMosq("doctor", "-h", "127.0.0.1", "-p", "\(try freePort())", "--quiet")
        #expect(result.status == 1)
        #expect(result.output + result.errors == "")
    }

    @Test func `a Unix socket has no name to look up`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/socket"
        let broker = try await ScriptedBroker.start(unixSocket: path)
        let run = try await DoctorRun(["--unix", path])
        #expect(run.status == 0)
        #expect(run.status("names") == "skipped")
        #expect(run.report["tcp"]?["addresses"]?[0]?["address"]?.string == path)
        await broker.stop()
    }

    @Test(arguments: ["--retry", "--events", "--redirect=listed", "-c"])
    func `a flag that would do nothing is refused`(flag: String) async throws {
        let result = try await MosqProcess(["doctor", flag, "-i", "x"]).result()
        #expect(result.status == 1)
        #expect(result.errors.hasPrefix("Error: \(flag.prefix { $0 != "=" }) cannot be used here: "))
    }

    // MARK: Names and TCP

    @Test func `a name that does not resolve`() async throws {
        let run = try await DoctorRun(["-h", "mosq-doctor.invalid"])
        #expect(run.status == 1)
        #expect(run.status("names") == "failed")
        #expect(run.cause("names") == "nameNotFound")
        for step in ["tcp", "tls", "connack", "loopback"] { #expect(run.status(step) == "skipped", "\(step)") }
    }

    @Test func `a port at which nothing listens`() async throws {
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(try freePort())"])
        #expect(run.status == 1)
        #expect(run.cause("tcp") == "refused")
        #expect(run.words("tcp").contains("1883 is usual"))
        #expect(run.report["tcp"]?["addresses"]?[0]?["failure"] == "refused")
    }

    @Test func `a port at which nobody answers`() async throws {
        let blackhole = try Blackhole()
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(blackhole.port)", "--connect-timeout", "3"])
        #expect(run.status == 1)
        #expect(run.cause("tcp") == "noAnswer")
        #expect(run.words("tcp").contains("firewall"))
        #expect(run.report["tcp"]?["addresses"]?[0]?["seconds"]?.number ?? 0 >= 3)
    }

    // MARK: The broker's answer

    @Test(arguments: [
        (UInt8(0x88), "brokerUnavailable"), (0x89, "brokerUnavailable"), (0x8A, "banned"), (0x97, "quota"),
        (0x9C, "otherServer"), (0x85, "clientIdentifier"), (0x84, "protocolVersion"), (0x83, "brokerRefused"),
        (0x87, "credentialsMissing"),
    ])
    func `a broker that is up and refuses`(code: UInt8, cause: String) async throws {
        let broker = try await ScriptedBroker.start(script: [.refuse(code: code, close: true)])
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(broker.port)", "-V", "5"])
        #expect(run.status == 1)
        #expect(run.cause("connack") == cause)
        #expect(run.report["connack"]?["code"]?.number == Double(code))
        await broker.stop()
    }

    @Test(arguments: [([], "5.0"), (["-V", "5"], "5.0"), (["-V", "mqttv311"], "3.1.1"), (["-V", "mqttv31"], "3.1")])
    func `the version is the library's default, or that of -V`(arguments: [String], version: String) async throws {
        let broker = try await ScriptedBroker.start()
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(broker.port)"] + arguments)
        #expect(run.status == 0)
        #expect(run.report["connack"]?["protocolVersion"]?.string == version)
        await broker.stop()
    }

    // The CONNACK of MQTT 3.1.1 with its code 1, as a broker answers that does not know MQTT 5.0.
    @Test func `a broker that knows no MQTT 5_0 is told by its code`() async throws {
        let broker = try await ScriptedBroker.start(script: [.raw([0x20, 2, 0, 1])])
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(broker.port)"])
        #expect(run.status == 1)
        #expect(run.cause("connack") == "protocolVersion")
        #expect(run.words("connack").contains("-V mqttv311"))
        await broker.stop()
    }

    @Test func `a broker that is silent after TCP`() async throws {
        let broker = try await ScriptedBroker.start(script: [.silent])
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(broker.port)", "--connect-timeout", "3"])
        #expect(run.status == 1)
        #expect(run.status("tcp") == "ok")
        #expect(run.cause("connack") == "noAnswer")
        await broker.stop()
    }

    @Test func `a program that does not speak MQTT`() async throws {
        let broker = try await ScriptedBroker.start(script: [.raw(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))])
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(broker.port)"])
        #expect(run.status == 1)
        #expect(run.cause("connack") == "notMQTT")
        #expect(run.words("connack").contains("speaks HTTP"))
        await broker.stop()
    }

    // mqtt-cli#136, OSMO#1210
    @Test(arguments: ["Bearer s3cret", "\"s3cret\"", "\u{FEFF}s3cret", " s3cret"])
    func `a password with something around it is told (case 12)`(password: String) async throws {
        let broker = try await ScriptedBroker.start(authentication: .password("u", "s3cret"))
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(broker.port)", "-u", "u", "-P", password])
        #expect(run.status == 1)
        #expect(run.cause("connack") == "notAuthorized")
        #expect(run.words("connack").contains("the password "))
        #expect(run.words("connack").contains("Correct the password first."))
        #expect(!(run.output + run.errors).contains("s3cret"))
        await broker.stop()
    }

    // MARK: The message to oneself

    @Test(arguments: [("mqttv311", "noEcho"), ("mqttv5", "denied")])
    func `an access control list that denies the message is a warning`(version: String, cause: String) async throws {
        let folder = try TemporaryDirectory()
        // Subscriptions are allowed: mosquitto checks those at delivery, and the publish when it comes.
        let list = try folder.write("topic read #\n", to: "acl")
        let mosquitto = try await LocalMosquitto.start(extraConfiguration: "acl_file \(list)")
        let run = try await DoctorRun(
            [
                "-h", "127.0.0.1", "-p", "\(mosquitto.port)", "-V", version, "--connect-timeout",
                version == "mqttv5" ? "10" : "3",
            ])
        #expect(run.status == 0)
        #expect(run.status("loopback") == "warning")
        #expect(run.cause("loopback") == cause)
    }

    @Test func `the topic of the message can be given`() async throws {
        let broker = try await ScriptedBroker.start()
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(broker.port)", "-t", "mine/loop"])
        #expect(run.status == 0)
        #expect(broker.publishes.map(\.topic) == ["mine/loop"])
        await broker.stop()
    }

    @Test func `a broker that ends the connection at the subscription is a warning`() async throws {
        let broker = try await ScriptedBroker.start(script: [.disconnectOn(.subscribe, reasonCode: 0x87)])
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(broker.port)", "-V", "5"])
        #expect(run.status == 0)
        #expect(run.cause("loopback") == "connectionLost")
        #expect(run.words("loopback").contains("Not authorized"))
        await broker.stop()
    }
}
