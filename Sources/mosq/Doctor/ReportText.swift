// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A report as lines of text for the user, step by step.
struct ReportText {
    var style = ReportStyle()
    /// The time that relative times in the report refer to.
    var now = Date.now

    /// Returns the lines of one step: its mark and name, its facts and, if it failed, the cause and the remedy; none
    /// for the proxy or the upgrade of a connection without one.
    func lines(_ step: ConnectionReport.Step, of report: ConnectionReport) -> [String] {
        switch step {
        case .names: lines(step, report.names, report.names.facts.map(names) ?? [Line("none: a Unix socket")])
        case .tcp: lines(step, report.tcp, report.tcp.facts.map(tcp) ?? [])
        case .proxy: report.isThroughProxy ? lines(step, report.proxy, report.proxy.facts.map(proxy) ?? []) : []
        case .tls: lines(step, report.tls, report.tls.facts.map(tls) ?? [Line(tlsIsSkipped(report))])
        case .token: lines(step, report.token, report.token.facts.map(token) ?? [])
        case .upgrade:
            report.isWebSocket ? lines(step, report.upgrade, report.upgrade.facts.map(upgrade) ?? []) : []
        case .connack: lines(step, report.connack, report.connack.facts.map(connack) ?? [])
        case .loopback: lines(step, report.loopback, report.loopback.facts.map(loopBack) ?? [])
        }
    }

    func summary(_ report: ConnectionReport) -> String {
        if report.isOK {
            let warnings = ConnectionReport.Step.allCases.filter { report.status(of: $0) == .warning }
            let end = warnings.isEmpty ? "" : ", with a warning of: \(warnings.map(\.rawValue).joined(separator: ", "))"
            return style.text("All is well with \(report.endpoint)\(end).", .ok)
        }
        let failed = ConnectionReport.Step.allCases.first { report.status(of: $0) == .failed }
        return style.text("\(report.endpoint) fails at the step \(failed?.rawValue ?? "connack").", .failed)
    }

    // MARK: The shape of a step

    /// A line of a step, with or without a label.
    struct Line {
        var label = ""
        var text: String

        init(_ text: String) { self.text = text }
        init(_ label: String, _ text: String) { (self.label, self.text) = (label, text) }
    }

    private func lines<Facts>(_ step: ConnectionReport.Step, _ finding: Finding<Facts>, _ facts: [Line]) -> [String] {
        var lines = finding.status == .skipped && facts.isEmpty ? [Line("not tried")] : facts
        if let diagnosis = finding.diagnosis {
            lines.append(Line("cause", diagnosis.summary))
            lines += diagnosis.likely.map { Line("", "· " + $0) }
            lines.append(Line("remedy", diagnosis.remedy))
        }
        var result: [String] = []
        for line in lines {
            let head = result.isEmpty ? style.mark(finding.status) + " " + padded(step.rawValue, 10) : "            "
            let isAdvice = ["cause", "remedy"].contains(line.label)
            let label = padded(
                line.label, line.label.isEmpty && line.text.hasPrefix("·") || !line.label.isEmpty ? 11 : 0)
            result.append(head + (isAdvice ? style.text(label, finding.status) : label) + printable(line.text))
        }
        return result
    }

    private func proxy(_ facts: ProxyFacts) -> [Line] {
        let status = facts.httpStatus.map { ", answered \($0)" } ?? ""
        var lines = [Line("\(facts.kind.rawValue.uppercased()) at \(facts.host):\(facts.port)\(status)")]
        if let check = facts.failedCheck {
            lines.append(
                Line("check", "\(check.text) (error \(check.code) at depth \(check.depth)), for \(facts.host)"))
        }
        return lines
    }

    private func upgrade(_ facts: UpgradeFacts) -> [Line] {
        let status = facts.httpStatus.map { "answered \($0)" } ?? "no answer"
        let rest: [(String, String?)] = [
            ("server", facts.server), ("demands", facts.challenge), ("location", facts.location),
            ("retry", facts.retryAfter.map { "after \(TimeText.length($0))" }),
        ]
        return [Line("\(status) at \(facts.path)")] + rest.compactMap { label, text in text.map { Line(label, $0) } }
    }

    private func tlsIsSkipped(_ report: ConnectionReport) -> String {
        report.tcp.status == .failed || report.names.status == .failed ? "not tried" : "not used"
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// Text from a broker or a token must not steer the terminal.
    private func printable(_ text: String) -> String { ForeignText.escaping(text) }

    // MARK: The facts

    private func names(_ facts: NameFacts) -> [Line] {
        let time = facts.seconds.map { " (\(TimeText.length($0)))" } ?? ""
        if facts.addresses.isEmpty { return [Line("\(facts.host)\(time)")] }
        if facts.addresses == [facts.host] { return [Line("\(facts.host) is an address")] }
        return [Line("\(facts.host) is \(facts.addresses.joined(separator: ", "))\(time)")]
    }

    private func tcp(_ facts: ConnectFacts) -> [Line] {
        let width = facts.addresses.map(\.address.count).max() ?? 0
        return facts.addresses.map { address in
            let time = TimeText.length(address.seconds)
            let what = address.error.map { "\($0) (\(time))" } ?? "connected in \(time)"
            return Line(padded(address.address, width) + "  " + what)
        }
    }

    private func tls(_ facts: TLSFacts) -> [Line] {
        var lines: [Line] = []
        if let version = facts.version {
            let alpn = facts.applicationProtocol.map { ", application protocol \($0)" } ?? ""
            let group = facts.group.map { ", \($0)" } ?? ""
            lines.append(Line("\(version), \(facts.cipher ?? "unknown cipher")\(group)\(alpn)"))
        } else {
            lines.append(Line(facts.chain.isEmpty ? "no handshake" : "the broker shows"))
        }
        for (depth, certificate) in facts.chain.enumerated() {
            let failed = facts.failedCheck.flatMap { Int($0.depth) == depth ? "  ← \($0.text)" : nil } ?? ""
            lines.append(Line("depth \(depth)", certificate.subject + failed))
            lines.append(Line("  issuer", certificate.issuer))
            lines.append(Line("  valid", validity(certificate)))
            if !certificate.subjectAlternativeNames.isEmpty {
                lines.append(Line("  for", certificate.subjectAlternativeNames.joined(separator: ", ")))
            }
        }
        if let check = facts.failedCheck {
            lines.append(
                Line("check", "\(check.text) (error \(check.code) at depth \(check.depth)), for \(facts.host)"))
        }
        if let alert = facts.alert { lines.append(Line("alert", alert)) }
        return lines
    }

    private func validity(_ certificate: TLSFacts.Certificate) -> String {
        let dates = "\(TimeText.moment(certificate.notBefore)) to \(TimeText.moment(certificate.notAfter))"
        if certificate.notBefore > now {
            return "\(dates), begins \(TimeText.relative(certificate.notBefore, to: now))"
        }
        let isOver = certificate.notAfter <= now
        return "\(dates), \(isOver ? "ended" : "ends") \(TimeText.relative(certificate.notAfter, to: now))"
    }

    private func token(_ facts: TokenFacts) -> [Line] {
        let source = facts.source.map { " (source: \($0))" } ?? ""
        switch facts.kind {
        case .none where facts.username == nil: return [Line("no user name and no password\(source)")]
        case .none, .password:
            let what = facts.kind == .none ? "no password" : "a password, or a token that is no JWT"
            return [Line("\(what)\(source)")] + common(facts)
        case .jwt:
            let head = [facts.algorithm, facts.keyID.map { "key \($0)" }].compactMap { $0 }.joined(separator: ", ")
            let times: Set = ["iat", "nbf", "exp"]
            let claims = facts.claims.filter { !times.contains($0.key) }.sorted { $0.key < $1.key }
            return [Line("a JWT\(head.isEmpty ? "" : " of \(head)")\(source)")] + common(facts)
                + claims.map { Line($0.key, Diagnosis.text($0.value)) }
        }
    }

    private func common(_ facts: TokenFacts) -> [Line] {
        var lines: [Line] = []
        if let username = facts.username { lines.append(Line("user name", username)) }
        let times = [("issued", facts.issuedAt), ("not before", facts.notBefore), ("expires", facts.expiresAt)]
        for case (let label, let date?) in times {
            lines.append(
                Line(label, "\(TimeText.moment(date)), \(TimeText.relative(date, to: facts.receivedAt ?? now))"))
        }
        if let skew = facts.clockSkew {
            let text =
                abs(skew) < 2
                ? "none to the issuer's clock"
                : "the issuer's clock is \(TimeText.length(skew)) \(skew > 0 ? "ahead" : "behind")"
            lines.append(Line("clock", text))
        }
        return lines
    }

    private func connack(_ facts: ConnackFacts) -> [Line] {
        let time = facts.seconds.map { " after \(TimeText.length($0))" } ?? ""
        var lines = [
            Line("MQTT \(facts.protocolVersion), \(facts.code == 0 ? "accepted" : facts.reason ?? "no answer")\(time)")
        ]
        lines.append(Line("client", facts.clientID))
        if facts.sessionPresent == true { lines.append(Line("session", "kept by the broker")) }
        if let reason = facts.reasonString { lines.append(Line("says", reason)) }
        if let limits = facts.limits { lines += self.limits(limits) }
        if let reference = facts.serverReference { lines.append(Line("refers to", reference)) }
        lines += facts.userProperties.map { Line("property", "\($0.name)=\($0.value)") }
        return lines
    }

    private func limits(_ limits: ConnackFacts.Limits) -> [Line] {
        let size = limits.maximumPacketSize.map { "\($0) bytes a packet" } ?? "packets of any size"
        var lines = [
            Line(
                "takes",
                "QoS up to \(limits.maximumQoS), \(limits.receiveMaximum) in flight, \(size), "
                    + "\(limits.topicAliasMaximum) topic aliases"
            )
        ]
        let lacks = [
            ("retained messages", limits.retainAvailable), ("wildcards", limits.wildcardSubscriptionAvailable),
            ("subscription identifiers", limits.subscriptionIdentifiersAvailable),
            ("shared subscriptions", limits.sharedSubscriptionAvailable),
        ].filter { !$0.1 }.map(\.0)
        if !lacks.isEmpty { lines.append(Line("lacks", lacks.joined(separator: ", "))) }
        if let seconds = limits.serverKeepAlive {
            lines.append(Line("keep-alive", "\(seconds) s, as the broker demands"))
        }
        if let seconds = limits.sessionExpiryInterval {
            lines.append(Line("session", "expires \(seconds) s after the end"))
        }
        return lines
    }

    private func loopBack(_ facts: LoopBackFacts) -> [Line] {
        guard let seconds = facts.seconds else { return [Line("topic", facts.topic)] }
        return [Line("a message of QoS \(facts.qos) to \(facts.topic) came back in \(TimeText.length(seconds))")]
    }
}

extension ConnectionReport {
    func status(of step: Step) -> FindingStatus {
        switch step {
        case .names: names.status
        case .tcp: tcp.status
        case .proxy: proxy.status
        case .tls: tls.status
        case .token: token.status
        case .upgrade: upgrade.status
        case .connack: connack.status
        case .loopback: loopback.status
        }
    }
}
