// SPDX-License-Identifier: Apache-2.0

/// The arguments of the process as text. Swift would repair bytes that are not UTF-8, and so change a topic or a
/// payload.
///
/// A payload and a password are bytes, whatever they are: those that are no text go to the argument parser as the
/// hexadecimal digits of a hidden flag.
enum ArgumentEncoding {
    /// - Parameter arguments: the raw arguments, with the name of the process.
    static func words(_ arguments: [[UInt8]]) throws -> [String] {
        var words: [String] = []
        for argument in arguments {
            if let text = String(validating: argument, as: UTF8.self) {
                words.append(text)
                continue
            }
            let flag = words.popLast() ?? ""
            guard let hidden = hidden[flag] else { throw CommandFailure.usage("Malformed UTF-8 in \(flag) argument.") }
            words += [hidden, hexadecimal(argument)]
        }
        return words
    }

    private static let hidden = [
        "-m": "--message-hex", "--message": "--message-hex", "-P": "--pw-hex", "--pw": "--pw-hex",
        "--will-payload": "--will-payload-hex",
    ]

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.flatMap { [Hex.lowercase[Int($0 / 16)], Hex.lowercase[Int($0 % 16)]] }, as: UTF8.self)
    }

    /// Returns the bytes of a hidden flag.
    static func bytes(_ hexadecimal: String) throws -> [UInt8] {
        let digits = hexadecimal.map(\.hexDigitValue)
        let values = digits.compactMap { $0 }
        guard values.count == digits.count, values.count.isMultiple(of: 2) else {
            throw CommandFailure.usage("'\(hexadecimal)' is not an even number of hexadecimal digits.")
        }
        return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] * 16 + values[$0 + 1]) }
    }

    /// The arguments of this process.
    static var ofProcess: [[UInt8]] {
        (0..<Int(CommandLine.argc)).compactMap { index in
            CommandLine.unsafeArgv[index].map { argument in
                var bytes: [UInt8] = []
                var position = argument
                while position.pointee != 0 {
                    bytes.append(UInt8(bitPattern: position.pointee))
                    position += 1
                }
                return bytes
            }
        }
    }
}
