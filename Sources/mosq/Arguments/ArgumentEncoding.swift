/// A check that the process's arguments are UTF-8. Swift would repair other bytes, and so change a topic or a payload.
enum ArgumentEncoding {
    /// - Parameter arguments: the raw arguments, with the name of the process.
    static func check(_ arguments: [[UInt8]]) throws {
        var flag = ""
        for argument in arguments {
            guard let text = String(validating: argument, as: UTF8.self) else { throw complaint(flag) }
            flag = text
        }
    }

    static func complaint(_ flag: String) -> CommandFailure {
        flag == "-m" || flag == "--message"
            ? .usage("\(flag) argument is not UTF-8; send other bytes with -f or -s.")
            : .usage("Malformed UTF-8 in \(flag) argument.")
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
