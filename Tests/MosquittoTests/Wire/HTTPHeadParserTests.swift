// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

extension HTTPHeadParser {
    /// Parses bytes. Returns the number of bytes that belong to the head.
    fileprivate mutating func consume(_ bytes: some Collection<UInt8>) throws(Failure) -> Int {
        try Array(bytes).withUnsafeBytes { buffer in
            Result { () throws(Failure) in try consume(buffer) }
        }.get()
    }
}

@Suite(.turn(.units)) struct `The parser of an HTTP response's head` {
    private func parse(_ text: String) throws(HTTPHeadParser.Failure) -> (head: HTTPResponseHead?, consumed: Int) {
        var parser = HTTPHeadParser()
        let consumed = try parser.consume(text.utf8)
        return (parser.head, consumed)
    }

    private func failure(_ bytes: some Collection<UInt8>) -> HTTPHeadParser.Failure? {
        var parser = HTTPHeadParser()
        do throws(HTTPHeadParser.Failure) {
            _ = try parser.consume(bytes)
            return nil
        } catch { return error }
    }

    private let answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nconnection:\tkeep-alive , UPGRADE \r\nX: \r\n\r\n"

    @Test func `a head ends at its empty line, and the bytes after it are left`() throws {
        let (head, consumed) = try parse(answer + "\u{82}rest")
        #expect(consumed == answer.utf8.count)
        #expect(head?.status == 101)
        #expect(head?.minorVersion == 1)
        #expect(head?.reason == "Switching Protocols")
        #expect(head?["UPGRADE"] == "websocket")
        #expect(head?["Connection"] == "keep-alive , UPGRADE")
        #expect(head?["x"] == "")
        #expect(head?["y"] == nil)
        #expect(head?.lists("upgrade", in: "CONNECTION") == true)
        #expect(head?.lists("upgrad", in: "Connection") == false)
    }

    @Test func `a head cut at any two places is the same`() throws {
        let bytes = Array(answer.utf8)
        let whole = try parse(answer).head
        #expect(whole != nil)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var parser = HTTPHeadParser()
                var consumed = try parser.consume(bytes[..<first])
                consumed += try parser.consume(bytes[first..<second])
                #expect(second == bytes.count || parser.head == nil)
                consumed += try parser.consume(bytes[second...])
                #expect(parser.head == whole)
                #expect(consumed == bytes.count)
            }
        }
    }

    @Test(arguments: [
        ("HTTP/1.0 200 Connection established\r\n\r\n", 200, "Connection established"),
        ("HTTP/1.1 200\r\n\r\n", 200, ""), ("HTTP/1.1 407 \r\n\r\n", 407, ""),
        ("HTTP/1.1 502 Bad\tGateway\n\n", 502, "Bad\tGateway"), ("HTTP/1.9 999 x\r\n\r\n", 999, "x"),
        ("HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200, "OK"),
    ])
    func `status lines of other forms, and after interim responses`(
        text: String, status: Int, reason: String
    ) throws {
        let (head, consumed) = try parse(text)
        #expect(head?.status == status)
        #expect(head?.reason == reason)
        #expect(head?.fields == [])
        #expect(consumed == text.utf8.count)
    }

    @Test func `repeated fields are joined, and a folded one is one line`() throws {
        let head = try parse(
            "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"a\"\r\nproxy-authenticate: Negotiate\r\n"
                + "Via: one,\r\n\t two\r\n \r\n\r\n"
        ).head
        #expect(head?.values(of: "Proxy-Authenticate") == ["Basic realm=\"a\"", "Negotiate"])
        #expect(head?["Proxy-Authenticate"] == "Basic realm=\"a\", Negotiate")
        #expect(head?["via"] == "one, two")
    }

    @Test func `bytes above ASCII are opaque, and never fail`() {
        #expect(
            failure(Array("HTTP/1.1 200 ".utf8) + [0xFF, 0x80] + Array("\r\nA: ".utf8) + [0xC3] + [13, 10]) == nil)
    }

    @Test(arguments: [
        "SSH-2.0-OpenSSH\r\n", "<html>", "H2", "HTTP/2 200\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n", "\n", "HTTP/1.",
    ])
    func `another protocol is recognized at its first byte`(text: String) {
        #expect(failure(text.utf8) == (text == "HTTP/1." ? nil : .notHTTP))
        #expect(failure(Array(text.utf8) + [10]) == .notHTTP)
    }

    @Test(arguments: [
        "HTTP/1.1\r\n", "HTTP/1.1 20\r\n", "HTTP/1.1 2000\r\n", "HTTP/1.1 099 x\r\n", "HTTP/1.x 200 OK\r\n",
        "HTTP/1.1  200 OK\r\n", "HTTP/1.1 200 a\rb\r\n", "HTTP/1.1 200 a\0\r\n", "HTTP/1.1 -20 x\r\n",
        "HTTP/1.1 200 OK\r\n folded\r\n", "HTTP/1.1 200 OK\r\n: x\r\n", "HTTP/1.1 200 OK\r\nA : x\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n", "HTTP/1.1 200 OK\r\nA: \u{1B}[2J\r\n", "HTTP/1.1 200 OK\r\nA: b\r\r\n",
        "HTTP/1.1 200 OK\r\nÄ: x\r\n",
    ])
    func `a malformed line is refused`(text: String) {
        #expect(failure(text.utf8) == .malformed)
    }

    @Test func `a head has at most 16 KiB, interim responses included`() throws {
        let line = "HTTP/1.1 200 OK\r\n"
        for size in [HTTPHeadParser.limit - 1, HTTPHeadParser.limit] {
            let padding = String(repeating: "a", count: size - line.utf8.count - "A: \r\n\r\n".utf8.count)
            let text = line + "A: " + padding + "\r\n\r\n"
            #expect(text.utf8.count == size)
            #expect(failure(text.utf8) == nil)
            #expect(failure(("HTTP/1.1 100 C\r\n\r\n" + text).utf8) == .tooLarge)
        }
        #expect(failure((line + String(repeating: "A", count: HTTPHeadParser.limit)).utf8) == .tooLarge)
        #expect(failure((line + String(repeating: "A:b\n", count: HTTPHeadParser.limit)).utf8) == .tooLarge)
        #expect(failure(String(repeating: "HTTP/1.1 100 C\r\n\r\n", count: 2_000).utf8) == .tooLarge)
    }

    @Test func `random bytes and changed heads never trap`() throws {
        var generator = JitterGenerator(seed: 1)
        let seed = Array((answer + answer).utf8)
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            var parser = HTTPHeadParser()
            guard let consumed = try? parser.consume(bytes) else { continue }
            #expect(consumed <= bytes.count)
            #expect(consumed == bytes.count || parser.head != nil)
        }
    }
}
