// What the training in the form will take: asked for when the texts, the kind or the size have rested for a moment.
import { useEffect, useState } from "react";
import type { TrainingForecast } from "#shared/ipc/tokenizers.contract";
import { client, messageOf } from "../../lib/client.ts";
import { useTokenizers } from "./store.ts";
import { forecastWords } from "./training-form.ts";

const REST_MS = 400;

type Answer = { readonly question: string; readonly value: TrainingForecast | null; readonly error: string | null };

export function Forecast({ isFit }: { readonly isFit: boolean }) {
  const { inputs, type, vocabSize, isLowercase } = useTokenizers((state) => state.form);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const question = JSON.stringify({
    inputs,
    type,
    vocabSize: Number(vocabSize),
    lowercase: type === "wordpiece" && isLowercase,
  });
  useEffect(() => {
    if (!isFit) {
      return undefined;
    }
    let isCurrent = true;
    const take = (value: TrainingForecast | null, error: string | null) => {
      if (isCurrent) {
        setAnswer({ question, value, error });
      }
    };
    const timer = setTimeout(() => {
      client.request("tokenizers.forecast", JSON.parse(question)).then(
        (value) => take(value, null),
        (error: unknown) => take(null, messageOf(error)),
      );
    }, REST_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [isFit, question]);

  if (!isFit) {
    return null;
  }
  const isKnown = answer?.question === question;
  return (
    <p
      className={isKnown && answer.error !== null ? "field-help bad" : "field-help"}
      role="status"
      data-testid="training-forecast"
    >
      {isKnown
        ? (answer.error ?? (answer.value === null ? "" : forecastWords(answer.value)))
        : "Looking into the texts…"}
    </p>
  );
}
