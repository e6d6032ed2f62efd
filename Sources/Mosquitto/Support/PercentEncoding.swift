// SPDX-License-Identifier: Apache-2.0

/// Percent-encoding of all but the unreserved characters (RFC 3986, section 2.3).
enum PercentEncoding {
    static func encoded(_ text: String, exceptSlash: Bool = false) -> String {
        text.utf8.reduce(into: "") { result, byte in
            let scalar = Unicode.Scalar(byte)
            switch scalar {
            case "A"..."Z", "a"..."z", "0"..."9", "-", ".", "_", "~": result.unicodeScalars.append(scalar)
            case "/" where exceptSlash: result += "/"
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += byte < 16 ? "%0" + digits : "%" + digits
            }
        }
    }
}
