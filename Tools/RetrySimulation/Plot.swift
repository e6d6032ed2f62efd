// SPDX-License-Identifier: Apache-2.0

/// An SVG of the CONNECTs per second of each policy. It has its own background, and so suits pages of any colour.
struct Plot {
    private static let width = 1_000.0
    private static let height = 540.0
    private static let area = (left: 78.0, right: 752.0, top: 62.0, bottom: 478.0)
    private static let decades = 1...5
    private static let seconds = 180.0
    /// Ours, then the peers: Okabe and Ito's palette, which colour-blind readers can tell apart.
    private static let colors = ["#d0021b", "#57606a", "#0072b2", "#56b4e9", "#cc79a7", "#e69f00", "#009e73"]
    private static let dashes = "stroke=\"#57606a\" stroke-dasharray=\"6 4\""

    let report: Report

    var svg: String {
        let lines = report.results.indices.reversed().map(line)
        return ([head] + frame + lines + legend + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private var head: String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" \
        font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#24292f">
        <rect width="100%" height="100%" fill="#ffffff"/>
        """
    }

    // MARK: Axes

    private var frame: [String] {
        let area = Self.area
        let outage = report.scenario.outage.inSeconds
        let limit = report.scenario.capacity.map { "\(grouped($0)) a second" } ?? "all"
        let storm = "\(grouped(report.scenario.clients)) clients lose a broker that is away for \(Int(outage)) s"
        let title = "\(storm) and then accepts \(limit)"
        var parts = [
            text(title, area.left, 30, "font-size=\"17\" font-weight=\"bold\""),
            """
            <rect x="\(area.left)" y="\(area.top)" width="\(rounded(x(outage) - area.left))" \
            height="\(area.bottom - area.top)" fill="#f1f2f4"/>
            """,
            text("broker away", x(outage / 2), area.top - 8, "text-anchor=\"middle\" fill=\"#57606a\""),
            text("broker back", x(outage) + 4, area.top - 8, "fill=\"#57606a\""),
        ]
        for decade in Self.decades {
            let value = (0..<decade).reduce(1) { power, _ in power * 10 }
            parts.append(stroke(area.left, y(value), area.right, y(value), "stroke=\"#d0d7de\""))
            parts.append(text(grouped(value), area.left - 8, y(value) + 4, "text-anchor=\"end\""))
        }
        for second in stride(from: 0.0, through: Self.seconds, by: 20) {
            parts.append(stroke(x(second), area.bottom, x(second), area.bottom + 5, "stroke=\"#57606a\""))
            parts.append(text("\(Int(second))", x(second), area.bottom + 20, "text-anchor=\"middle\""))
        }
        if let capacity = report.scenario.capacity {
            parts.append(stroke(x(outage), y(capacity), area.right, y(capacity), Self.dashes))
        }
        let middle = rounded((area.top + area.bottom) / 2)
        return parts + [
            stroke(area.left, area.bottom, area.right, area.bottom, "stroke=\"#57606a\""),
            stroke(area.left, area.top, area.left, area.bottom, "stroke=\"#57606a\""),
            text("seconds since the loss", (area.left + area.right) / 2, area.bottom + 46, "text-anchor=\"middle\""),
            text("CONNECTs a second", 18, middle, "text-anchor=\"middle\" transform=\"rotate(-90 18 \(middle))\""),
        ]
    }

    // MARK: Policies

    /// A point for each second until the last arrival. Points below the axis are drawn on the axis, and omitted between
    /// two others of that kind.
    private func line(_ index: Int) -> String {
        let arrivals = Array(report.results[index].outcome.arrivals.prefix(Int(Self.seconds)))
        let isBelow = arrivals.map { logarithm($0) <= Double(Self.decades.lowerBound) }
        var path: [String] = []
        var isDrawing = false
        for second in arrivals.indices {
            let neighbours = isBelow[max(second - 1, 0)...min(second + 1, isBelow.count - 1)]
            guard neighbours.contains(false) else {
                isDrawing = false
                continue
            }
            path.append("\(isDrawing ? "L" : "M")\(x(Double(second) + 0.5)) \(y(arrivals[second]))")
            isDrawing = true
        }
        return "<path fill=\"none\" \(style(index)) stroke-linejoin=\"round\" d=\"\(path.joined())\"/>"
    }

    private func style(_ index: Int) -> String {
        let color = "stroke=\"\(Self.colors[index % Self.colors.count])\""
        return color + (index == 0 ? " stroke-width=\"3.5\"" : " stroke-width=\"1.3\" stroke-opacity=\"0.8\"")
    }

    private var legend: [String] { policies + limit }

    private var limit: [String] {
        guard let capacity = report.scenario.capacity else { return [] }
        let left = Self.area.right + 20
        let top = Self.area.bottom - 8
        return [
            stroke(left, top, left + 26, top, Self.dashes),
            text("accepted: \(grouped(capacity)) a second", left + 34, top + 4, "fill=\"#57606a\""),
        ]
    }

    private var policies: [String] {
        report.results.enumerated().flatMap { index, result in
            let top = Self.area.top + 12 + Double(index) * 52
            let left = Self.area.right + 20
            let outcome = result.outcome
            let figures =
                "peak \(grouped(outcome.peak)), all back after \(Int(outcome.fullRecovery.inSeconds.rounded())) s"
            return [
                stroke(left, top, left + 26, top, style(index)),
                text(result.name, left + 34, top + 4, index == 0 ? "font-weight=\"bold\"" : ""),
                text(figures, left, top + 22, "font-size=\"11.5\" fill=\"#57606a\""),
            ]
        }
    }

    // MARK: Elements

    private func x(_ seconds: Double) -> Double {
        rounded(Self.area.left + seconds / Self.seconds * (Self.area.right - Self.area.left))
    }

    private func y(_ arrivals: Int) -> Double {
        let least = Double(Self.decades.lowerBound)
        let most = Double(Self.decades.upperBound)
        let decade = min(max(logarithm(arrivals), least), most)
        return rounded(Self.area.bottom - (decade - least) / (most - least) * (Self.area.bottom - Self.area.top))
    }

    private func rounded(_ value: Double) -> Double { (value * 10).rounded() / 10 }

    private func stroke(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) -> String {
        "<line x1=\"\(x1)\" y1=\"\(y1)\" x2=\"\(x2)\" y2=\"\(y2)\" \(style)/>"
    }

    private func text(_ text: String, _ x: Double, _ y: Double, _ style: String) -> String {
        "<text x=\"\(x)\" y=\"\(y)\" \(style)>\(text)</text>"
    }
}
