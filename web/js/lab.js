// sRGB to CIE L*a*b* (D65) and back, one colour at a time, with the numbers of colorize_lib/lab.py

const xyzFromRgb = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
export const white = [0.95047, 1, 1.08883]
export const yFromRgb = xyzFromRgb[1]

function inverse([[a, b, c], [d, e, f], [g, h, i]]) {
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
  return [[e * i - f * h, c * h - b * i, b * f - c * e], [f * g - d * i, a * i - c * g, c * d - a * f], [d * h - e * g, b * g - a * h, a * e - b * d]]
    .map(row => row.map(v => v / det))
}
export const rgbFromXyz = inverse(xyzFromRgb)

const times = (matrix, v) => matrix.map(row => row[0] * v[0] + row[1] * v[1] + row[2] * v[2])

/** Light of an sRGB value in [0,1], and back */
export const toLight = v => v > 0.04045 ? ((v + 0.055) / 1.055) ** 2.4 : v / 12.92
export const fromLight = v => v > 0.0031308 ? 1.055 * v ** (1 / 2.4) - 0.055 : 12.92 * v

/** Lab's curve, and back */
export const curve = t => t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116
export const curveBack = f => f > 0.2068966 ? f * f * f : (f - 16 / 116) / 7.787

/**
 * @param {number[]} rgb red, green, blue, 0 to 255
 * @returns {number[]} L*, a*, b*
 */
export function labOf(rgb) {
  const [fx, fy, fz] = times(xyzFromRgb, rgb.map(v => toLight(v / 255))).map((v, i) => curve(v / white[i]))
  return [116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)]
}

/**
 * @param {number} lightness L*
 * @returns {number[]} red, green, blue in [0,1], or outside of it where no screen can show the colour
 */
export function rgbOf(lightness, a, b) {
  const fy = (lightness + 16) / 116
  const xyz = [fy + a / 500, fy, Math.max(0, fy - b / 200)].map((f, i) => white[i] * curveBack(f))
  return times(rgbFromXyz, xyz).map(fromLight)
}
