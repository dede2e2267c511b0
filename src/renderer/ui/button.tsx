import type { ComponentProps } from "react";

type ButtonProps = ComponentProps<"button"> & { readonly variant?: "plain" | "primary" | "quiet" };

/** `primary` is the accent button: one a view, named by its verb and its object. */
export function Button({ variant = "plain", className = "", type = "button", ...rest }: ButtonProps) {
  return (
    <button type={type} className={`button ${variant === "plain" ? "" : variant} ${className}`.trim()} {...rest} />
  );
}
